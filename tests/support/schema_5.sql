-- A file as schema 5 made and filled it (its records stand in schema_5.json).
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_version (
    id INTEGER NOT NULL CHECK (id = 1),
    version INTEGER NOT NULL,
    PRIMARY KEY (id)
)
 STRICT
;
INSERT INTO schema_version VALUES(1,5);
CREATE TABLE coupons (
    code TEXT NOT NULL,
    course_id TEXT,
    email TEXT,
    max_redemptions INTEGER CHECK (max_redemptions >= 1),
    starts_at INTEGER,
    expires_at INTEGER,
    disabled INTEGER NOT NULL,
    taken INTEGER DEFAULT '0' NOT NULL,
    redeemed INTEGER DEFAULT '0' NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (code),
    CONSTRAINT not_overbooked CHECK (taken BETWEEN 0 AND max_redemptions),
    CONSTRAINT redeemed_are_taken CHECK (redeemed BETWEEN 0 AND taken)
)
 WITHOUT ROWID,
 STRICT
;
INSERT INTO coupons VALUES('GONE',NULL,NULL,1,NULL,NULL,1,1,0,'{"code":"GONE","percent_off":"33.5","course_id":null,"email":null,"max_redemptions":1,"per_learner":null,"starts_at":null,"expires_at":null,"disabled":false,"created_at":"2026-03-01T12:00:00.123+00:00","reserved":0,"redeemed":0}');
INSERT INTO coupons VALUES('MANY','python-101',NULL,5,NULL,1772375400123,0,3,1,'{"code":"MANY","percent_off":"33.5","course_id":"python-101","email":null,"max_redemptions":5,"per_learner":1,"starts_at":null,"expires_at":"2026-03-01T14:30:00.123+00:00","disabled":false,"created_at":"2026-03-01T12:00:00.123+00:00","reserved":0,"redeemed":0}');
INSERT INTO coupons VALUES('MINE',NULL,'ada@example.com',1,NULL,NULL,0,0,0,'{"code":"MINE","percent_off":"33.5","course_id":null,"email":"ada@example.com","max_redemptions":1,"per_learner":null,"starts_at":null,"expires_at":null,"disabled":false,"created_at":"2026-03-01T12:00:00.123+00:00","reserved":0,"redeemed":0}');
CREATE TABLE enrollments (
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    course_id TEXT NOT NULL,
    status TEXT NOT NULL CONSTRAINT status_is_known CHECK (status IN ('pending', 'awaiting_payment', 'confirmed', 'enrolled', 'revoked', 'expired', 'cancelled', 'failed', 'on_hold')),
    lms_status TEXT NOT NULL CONSTRAINT lms_status_is_known CHECK (lms_status IN ('pending', 'synced', 'retrying', 'dead')),
    version INTEGER NOT NULL CHECK (version >= 1),
    holds_slot INTEGER NOT NULL,
    for_sync INTEGER NOT NULL,
    session_id TEXT,
    payment_id TEXT,
    idempotency_key TEXT,
    price_minor INTEGER CHECK (price_minor >= 0),
    discount_minor INTEGER CHECK (discount_minor >= 0),
    amount_minor INTEGER CHECK (amount_minor >= 0),
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    coupon_code TEXT,
    doc TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT adds_up CHECK (discount_minor + amount_minor = price_minor)
)
 STRICT
;
INSERT INTO enrollments VALUES('enr_0001','learner1@example.com','python-101','pending','pending',1,1,0,NULL,NULL,'key-1',4900,0,4900,1772366520123,1772366401123,'MANY','{"id":"enr_0001","email":"learner1@example.com","learner":"learner1@example.com","course_id":"python-101","course_title":"","full_name":null,"kind":"paid","status":"pending","version":1,"price":{"amount_minor":4900,"currency":"usd"},"discount":{"amount_minor":0,"currency":"usd"},"amount":{"amount_minor":4900,"currency":"usd"},"coupon_code":"MANY","is_limited":true,"affiliate":null,"success_url":null,"cancel_url":null,"token_hash":"","idempotency_key":"key-1","terms":"","session_request":null,"session_try":1,"session_id":null,"payment_url":null,"session_expires_at":null,"session_account":null,"session_livemode":null,"gone_at":null,"seat_lapsed":false,"payment_id":null,"lms_status":"pending","lms_enrollment_id":null,"lms_row_ours":false,"lms_progress":null,"override":null,"reason":null,"held_for":null,"tax_behavior":"inclusive","paid":null,"tax_minor":0,"refunded_minor":0,"dispute":null,"moved_to":null,"holds_slot":true,"effects_owed":false,"due_at":"2026-03-01T12:02:00.123+00:00","tries":0,"created_at":"2026-03-01T12:00:01.123+00:00","updated_at":"2026-03-01T12:00:01.123+00:00","history":[{"at":"2026-03-01T12:00:01.123+00:00","version":1,"status":"pending","fact":"opened","op_id":"op-1","detail":{}}]}');
INSERT INTO enrollments VALUES('enr_0002','learner2@example.com','python-101','confirmed','pending',3,1,1,'cs_1','pi_1',NULL,4900,0,4900,1772366490123,1772366402123,NULL,'{"id":"enr_0002","email":"learner2@example.com","learner":"learner2@example.com","course_id":"python-101","course_title":"","full_name":"Zoë Ünal","kind":"paid","status":"confirmed","version":3,"price":{"amount_minor":4900,"currency":"usd"},"discount":{"amount_minor":0,"currency":"usd"},"amount":{"amount_minor":4900,"currency":"usd"},"coupon_code":null,"is_limited":true,"affiliate":null,"success_url":null,"cancel_url":null,"token_hash":"","idempotency_key":null,"terms":"","session_request":null,"session_try":1,"session_id":"cs_1","payment_url":"https://pay.example/1","session_expires_at":"2026-03-01T12:30:00.123+00:00","session_account":null,"session_livemode":false,"gone_at":null,"seat_lapsed":false,"payment_id":"pi_1","lms_status":"pending","lms_enrollment_id":"row-1","lms_row_ours":false,"lms_progress":12.5,"override":null,"reason":null,"held_for":null,"tax_behavior":"inclusive","paid":null,"tax_minor":0,"refunded_minor":0,"dispute":null,"moved_to":null,"holds_slot":true,"effects_owed":true,"due_at":"2026-03-01T12:01:30.123+00:00","tries":0,"created_at":"2026-03-01T12:00:02.123+00:00","updated_at":"2026-03-01T12:00:03.123+00:00","history":[{"at":"2026-03-01T12:00:01.123+00:00","version":1,"status":"pending","fact":"opened","op_id":"op-1","detail":{}},{"at":"2026-03-01T12:00:02.123+00:00","version":2,"status":"awaiting_payment","fact":"test","op_id":"op-2","detail":{}},{"at":"2026-03-01T12:00:03.123+00:00","version":3,"status":"confirmed","fact":"test","op_id":"op-3","detail":{}}]}');
INSERT INTO enrollments VALUES('enr_0003','learner3@example.com','python-101','expired','pending',2,0,0,NULL,NULL,NULL,4900,0,4900,NULL,1772366403123,NULL,'{"id":"enr_0003","email":"learner3@example.com","learner":"learner3@example.com","course_id":"python-101","course_title":"","full_name":null,"kind":"paid","status":"expired","version":2,"price":{"amount_minor":4900,"currency":"usd"},"discount":{"amount_minor":0,"currency":"usd"},"amount":{"amount_minor":4900,"currency":"usd"},"coupon_code":null,"is_limited":true,"affiliate":null,"success_url":null,"cancel_url":null,"token_hash":"","idempotency_key":null,"terms":"","session_request":null,"session_try":1,"session_id":null,"payment_url":null,"session_expires_at":null,"session_account":null,"session_livemode":null,"gone_at":null,"seat_lapsed":false,"payment_id":null,"lms_status":"pending","lms_enrollment_id":null,"lms_row_ours":false,"lms_progress":null,"override":null,"reason":null,"held_for":null,"tax_behavior":"inclusive","paid":null,"tax_minor":0,"refunded_minor":0,"dispute":null,"moved_to":null,"holds_slot":false,"effects_owed":true,"due_at":null,"tries":0,"created_at":"2026-03-01T12:00:03.123+00:00","updated_at":"2026-03-01T12:00:02.123+00:00","history":[{"at":"2026-03-01T12:00:01.123+00:00","version":1,"status":"pending","fact":"opened","op_id":"op-1","detail":{}},{"at":"2026-03-01T12:00:02.123+00:00","version":2,"status":"expired","fact":"test","op_id":"op-2","detail":{}}]}');
CREATE TABLE jobs (
    "key" TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CONSTRAINT state_is_known CHECK (state IN ('due', 'running', 'done', 'dead', 'cancelled', 'quarantined', 'ignored')),
    seq INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    claim_at INTEGER,
    tries INTEGER NOT NULL,
    token TEXT,
    owner TEXT,
    outcome TEXT,
    deliveries INTEGER NOT NULL,
    recovered INTEGER NOT NULL,
    pruned INTEGER DEFAULT '0' NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    payload TEXT,
    data TEXT NOT NULL,
    errors TEXT NOT NULL,
    PRIMARY KEY ("key"),
    CONSTRAINT claimable_or_ended CHECK ((claim_at IS NOT NULL) = (state IN ('due', 'running')))
)
 STRICT
;
INSERT INTO jobs VALUES('due','sync','due',2,1772366400123,1772366400123,0,NULL,NULL,NULL,0,0,0,1772366400123,1772366401123,'{"n":[1]}','{"answered":["i1 r1"],"begun":["i1 x"]}','[]');
INSERT INTO jobs VALUES('running','sync','running',1,1772366460123,1772366460123,1,'a552800fbda236346f9886a173f2286e','w',NULL,0,0,0,1772366400123,1772366400123,'{"n":"ü"}','{}','[]');
INSERT INTO jobs VALUES('dead','sync','dead',1,1772366460123,NULL,1,NULL,'w','lms_unavailable',0,0,0,1772366400123,1772366400123,'{"n":"ü"}','{}','[{"at":"2026-03-01T12:00:00.123+00:00","try_number":1,"code":"lms_unavailable","cause":"down","worker":"w"}]');
INSERT INTO jobs VALUES('done','sync','done',1,1772366460123,NULL,1,NULL,'w','ok',0,0,0,1772366400123,1772366405123,'{"n":"ü"}','{}','[]');
INSERT INTO jobs VALUES('old','sync','done',1,1772366460123,NULL,1,NULL,'w',NULL,0,0,0,1772366400123,1772366400123,'{"n":"ü"}','{}','[]');
CREATE TABLE events (
    "key" TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CONSTRAINT state_is_known CHECK (state IN ('due', 'running', 'done', 'dead', 'cancelled', 'quarantined', 'ignored')),
    seq INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    claim_at INTEGER,
    tries INTEGER NOT NULL,
    token TEXT,
    owner TEXT,
    outcome TEXT,
    deliveries INTEGER NOT NULL,
    recovered INTEGER NOT NULL,
    pruned INTEGER DEFAULT '0' NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    payload TEXT,
    data TEXT NOT NULL,
    errors TEXT NOT NULL,
    PRIMARY KEY ("key"),
    CONSTRAINT claimable_or_ended CHECK ((claim_at IS NOT NULL) = (state IN ('due', 'running')))
)
 STRICT
;
INSERT INTO events VALUES('due','sync','due',2,1772366400123,1772366400123,0,NULL,NULL,NULL,0,0,0,1772366400123,1772366401123,'{"n":[1]}','{"answered":["i1 r1"],"begun":["i1 x"]}','[]');
INSERT INTO events VALUES('running','sync','running',1,1772366460123,1772366460123,1,'aeaa1884127fd0858846e29feebe8ef9','w',NULL,0,0,0,1772366400123,1772366400123,'{"n":"ü"}','{}','[]');
INSERT INTO events VALUES('dead','sync','dead',1,1772366460123,NULL,1,NULL,'w','lms_unavailable',0,0,0,1772366400123,1772366400123,'{"n":"ü"}','{}','[{"at":"2026-03-01T12:00:00.123+00:00","try_number":1,"code":"lms_unavailable","cause":"down","worker":"w"}]');
INSERT INTO events VALUES('done','sync','done',1,1772366460123,NULL,1,NULL,'w','ok',0,0,0,1772366400123,1772366405123,'{"n":"ü"}','{}','[]');
INSERT INTO events VALUES('old','sync','done',1,1772366460123,NULL,1,NULL,'w',NULL,0,0,0,1772366400123,1772366400123,NULL,'{}','[]');
INSERT INTO events VALUES('evt_1','payment_event','due',1,1772366400123,1772366400123,0,NULL,NULL,NULL,2,0,0,1772366400123,1772366401123,'{"type":"t","object_id":"cs_1","more":1}','{}','[]');
INSERT INTO events VALUES('evt_2','payment_event','ignored',1,1772366400123,NULL,0,NULL,NULL,'ignored',1,0,1,1772366400123,1772366400123,'{"object_id":"cs_2","type":"t"}','{}','[]');
CREATE TABLE gates (
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (name)
)
 STRICT
;
INSERT INTO gates VALUES('lms','{"name":"lms","retry_at":null,"tokens":9.0,"filled_at":"2026-03-01T12:00:00.123+00:00","permits":{"h-1":"2026-03-01T12:01:00.123+00:00"}}');
INSERT INTO gates VALUES('stripe','{"name":"stripe","retry_at":"2026-03-01T12:00:30.123+00:00","tokens":null,"filled_at":null,"permits":{}}');
CREATE TABLE workers (
    name TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (name)
)
 STRICT
;
INSERT INTO workers VALUES('w-1',1772366403123,'{"name":"w-1","kind":"worker","started_at":"2026-03-01T12:00:00.123+00:00","seen_at":"2026-03-01T12:00:03.123+00:00","detail":{}}');
CREATE TABLE audit (
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (id)
)
 STRICT
;
INSERT INTO audit VALUES('a-0',1772366400123,'enr_0','{"id":"a-0","at":"2026-03-01T12:00:00.123+00:00","actor":"ada","action":"revoke","subject":"enr_0","reason":"why","detail":{"n":0}}');
INSERT INTO audit VALUES('a-1',1772366401123,'enr_1','{"id":"a-1","at":"2026-03-01T12:00:01.123+00:00","actor":"ada","action":"revoke","subject":"enr_1","reason":"why","detail":{"n":1}}');
INSERT INTO audit VALUES('a-2',1772366402123,'enr_0','{"id":"a-2","at":"2026-03-01T12:00:02.123+00:00","actor":"ada","action":"revoke","subject":"enr_0","reason":"why","detail":{"n":2}}');
CREATE TABLE grants (
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    course_id TEXT NOT NULL,
    status TEXT NOT NULL CONSTRAINT status_is_known CHECK (status IN ('pending', 'approved', 'rejected')),
    holds_slot INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (id)
)
 STRICT
;
INSERT INTO grants VALUES('grt_1','learner1@example.com','python-101','approved',0,2,1772366401123,'{"id":"grt_1","email":"learner1@example.com","full_name":null,"course_id":"python-101","answers":{"why":"$set","a.b":[1,null]},"status":"approved","version":2,"holds_slot":false,"code":null,"percent_off":null,"expires_at":null,"actor":null,"reason":"","op_id":"op-1","created_at":"2026-03-01T12:00:01.123+00:00","updated_at":"2026-03-01T12:00:01.123+00:00"}');
INSERT INTO grants VALUES('grt_2','learner2@example.com','python-101','pending',1,1,1772366402123,'{"id":"grt_2","email":"learner2@example.com","full_name":null,"course_id":"python-101","answers":{"why":"$set","a.b":[1,null]},"status":"pending","version":1,"holds_slot":true,"code":null,"percent_off":null,"expires_at":null,"actor":null,"reason":"","op_id":"op-2","created_at":"2026-03-01T12:00:02.123+00:00","updated_at":"2026-03-01T12:00:02.123+00:00"}');
CREATE TABLE affiliates (
    code TEXT NOT NULL,
    email TEXT NOT NULL,
    version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (code)
)
 STRICT
;
INSERT INTO affiliates VALUES('ada','ada@example.com',1,'{"code":"ada","email":"ada@example.com","full_name":null,"percent":"12.5","suspended":false,"version":1,"op_id":"op-ada-{}","created_at":"2026-03-01T12:00:00.123+00:00"}');
INSERT INTO affiliates VALUES('bob','bob@example.com',1,'{"code":"bob","email":"bob@example.com","full_name":"Bob","percent":"12.5","suspended":false,"version":1,"op_id":"op-bob-{''email'': ''bob@example.com'', ''full_name'': ''Bob''}","created_at":"2026-03-01T12:00:00.123+00:00"}');
CREATE TABLE coupon_seats (
    code TEXT NOT NULL,
    holder TEXT NOT NULL,
    state TEXT NOT NULL CONSTRAINT state_is_known CHECK (state IN ('held', 'bound', 'redeemed')),
    reserved_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (code, holder),
    FOREIGN KEY(code) REFERENCES coupons (code)
)
 WITHOUT ROWID,
 STRICT
;
INSERT INTO coupon_seats VALUES('GONE','enr_9','held',1772366400123,1772366410123);
INSERT INTO coupon_seats VALUES('MANY','enr_1','held',1772366400123,1772367300123);
INSERT INTO coupon_seats VALUES('MANY','enr_2','bound',1772366400123,1772367300123);
INSERT INTO coupon_seats VALUES('MANY','enr_3','redeemed',1772366400123,1772367300123);
CREATE TABLE ledger (
    affiliate TEXT NOT NULL,
    n INTEGER NOT NULL CHECK (n >= 1),
    fact_key TEXT NOT NULL,
    enrollment_id TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (affiliate, n),
    FOREIGN KEY(affiliate) REFERENCES affiliates (code)
)
 WITHOUT ROWID,
 STRICT
;
INSERT INTO ledger VALUES('ada',1,'enr_1:3:earned','enr_1','{"affiliate":"ada","n":1,"kind":"earned","enrollment_id":"enr_1","version":3,"course_id":"","currency":"usd","held_minor":490,"available_minor":0,"paid_minor":0,"percent":"12.5","matures_at":null,"totals":[{"currency":"usd","held_minor":490,"available_minor":-5,"paid_minor":0}],"actor":"","reason":"","op_id":"op-1-{}","at":"2026-03-01T12:00:01.123+00:00"}');
INSERT INTO ledger VALUES('ada',2,'enr_2:3:earned','enr_2','{"affiliate":"ada","n":2,"kind":"earned","enrollment_id":"enr_2","version":3,"course_id":"","currency":"usd","held_minor":490,"available_minor":0,"paid_minor":0,"percent":"12.5","matures_at":null,"totals":[{"currency":"usd","held_minor":980,"available_minor":-5,"paid_minor":0}],"actor":"","reason":"","op_id":"op-2-{}","at":"2026-03-01T12:00:02.123+00:00"}');
INSERT INTO ledger VALUES('ada',3,'enr_3:3:earned','enr_3','{"affiliate":"ada","n":3,"kind":"earned","enrollment_id":"enr_3","version":3,"course_id":"","currency":"usd","held_minor":490,"available_minor":0,"paid_minor":0,"percent":"12.5","matures_at":null,"totals":[{"currency":"usd","held_minor":1470,"available_minor":-5,"paid_minor":0}],"actor":"","reason":"","op_id":"op-3-{}","at":"2026-03-01T12:00:03.123+00:00"}');
CREATE INDEX coupons_by_course ON coupons (course_id, code);
CREATE INDEX coupons_by_email ON coupons (email, code);
CREATE INDEX enrollments_by_payment ON enrollments (payment_id);
CREATE INDEX enrollments_by_lms_status ON enrollments (lms_status, created_at, id);
CREATE INDEX enrollments_due ON enrollments (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX enrollments_newest ON enrollments (created_at, id);
CREATE INDEX enrollments_by_code ON enrollments (coupon_code, created_at, id) WHERE coupon_code IS NOT NULL;
CREATE INDEX enrollments_for_sync ON enrollments (email, course_id, for_sync, created_at);
CREATE INDEX enrollments_by_status ON enrollments (status, created_at, id);
CREATE UNIQUE INDEX enrollments_by_session ON enrollments (session_id);
CREATE INDEX enrollments_by_course ON enrollments (course_id, created_at, id);
CREATE INDEX enrollments_by_email ON enrollments (email, created_at, id);
CREATE UNIQUE INDEX enrollments_by_key ON enrollments (idempotency_key);
CREATE UNIQUE INDEX one_live_row ON enrollments (email, course_id) WHERE holds_slot = 1;
CREATE INDEX jobs_by_kind ON jobs (kind, created_at, "key");
CREATE INDEX jobs_newest ON jobs (created_at, "key");
CREATE INDEX jobs_by_state ON jobs (state, due_at, "key");
CREATE UNIQUE INDEX jobs_by_token ON jobs (token) WHERE token IS NOT NULL;
CREATE INDEX jobs_claimable ON jobs (claim_at, "key", kind) WHERE claim_at IS NOT NULL;
CREATE INDEX jobs_prunable ON jobs (state, updated_at) WHERE pruned = 0;
CREATE INDEX events_prunable ON events (state, updated_at) WHERE pruned = 0;
CREATE INDEX events_by_kind ON events (kind, created_at, "key");
CREATE INDEX events_newest ON events (created_at, "key");
CREATE INDEX events_by_state ON events (state, due_at, "key");
CREATE INDEX events_claimable ON events (claim_at, "key", kind) WHERE claim_at IS NOT NULL;
CREATE UNIQUE INDEX events_by_token ON events (token) WHERE token IS NOT NULL;
CREATE INDEX workers_seen ON workers (seen_at, name);
CREATE INDEX audit_by_subject ON audit (subject, at, id);
CREATE INDEX audit_newest ON audit (at, id);
CREATE INDEX grants_by_status ON grants (status, created_at, id);
CREATE INDEX grants_by_course ON grants (course_id, created_at, id);
CREATE INDEX grants_by_email ON grants (email, created_at, id);
CREATE UNIQUE INDEX one_standing_grant ON grants (email, course_id) WHERE holds_slot = 1;
CREATE INDEX grants_newest ON grants (created_at, id);
CREATE UNIQUE INDEX affiliates_by_email ON affiliates (email);
CREATE INDEX seats_lapsing ON coupon_seats (code, until) WHERE state = 'held';
CREATE INDEX seats_open ON coupon_seats (code, reserved_at) WHERE state <> 'redeemed';
CREATE UNIQUE INDEX ledger_facts ON ledger (affiliate, fact_key);
CREATE INDEX ledger_by_enrollment ON ledger (affiliate, enrollment_id, n);
COMMIT;
