# SPDX-License-Identifier: MIT
"""Seeds that have found something: each is played again with every run."""

from __future__ import annotations


#: Seed → what it found. A seed means its history only as long as nobody throws the dice
#: in another order: what was found has a test of its own, too.
FOUND: dict[int, str] = {
    2: "news of a refund under a wrong key was answered, and nobody looked again",
    27: "the same, with an operator's words in between",
    1180: "a refund that overtook its payment under a wrong key was nobody's",
    1317: "the same, with the payment found by a look",
    1245: "a reassign that died between the heir's write and its look at the money",
    7010449: "a payment told late, and a provider that was busy when it was asked",
    7012300: "a payment told late, found by the learner who came back to pay",
    13428366: "a reassign that died, and its heir ended by a word: money of nobody",
    80009677: "a payment told late, and an operator's word right after it",
    7037461: "a removal that the LMS carried out after the right had come back",
    7022366: "money that went back while a reassign lay dead half-way: owed for ever",
}
