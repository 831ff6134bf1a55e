# SPDX-License-Identifier: MIT
"""
Discovery and isolation of plugins: a broken one is reported and harms nobody.

Entry points are loaded one by one (pluggy's own loader dies on the first that fails
and skips the second of two equal names silently), keyed by distribution and name.
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import attrs
import pluggy

from . import wall
from .answers import (
    check_registration,
    course_answer,
    enrichment_answer,
    fields_answer,
    learner_answer,
    operator_answer,
    wait_answer,
)
from .errors import (
    ConfigurationError,
    EnrollError,
    PluginFailedError,
    PluginUnavailableError,
    RejectedError,
)
from .hookspecs import OBSERVERS, PROJECT, HookSpecs
from .models import Course, Enrollment, GrantField
from .models.jobs import OWN_KINDS
from .outcomes import Outcome
from .registry import Registry, check_kind


if TYPE_CHECKING:
    from importlib import metadata

    from .models import Job
    from .settings import Settings


__all__: tuple[str, ...] = ()  # internal


logger = logging.getLogger(__name__)

#: Session parameters that a plugin may set.
ALLOWED_PARAMETERS = frozenset(
    {
        "locale",
        "automatic_tax",
        "tax_id_collection",
        "invoice_creation",
        "payment_method_types",
    }
)

Handler = Callable[[Any], Outcome]
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class PluginInfo:
    """
    The result of loading one plugin.

    Attributes:
        name: Its entry-point name (or the name under which the host passed it).
        dist: Its distribution, or "".
        version: That distribution's version, or "".
        status: "loaded", "disabled", "broken" or "missing".
        error: Why it is broken, in words.
        hooks: Hooks that it implements.
    """

    name: str
    dist: str = ""
    version: str = ""
    status: str = "loaded"
    error: str = ""
    hooks: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Enrichment:
    """Additions of plugins to a checkout session."""

    metadata: Mapping[str, str] = attrs.field(factory=dict)
    parameters: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class JobRegistration:
    """One job handler: its kind, and the facts that enqueue a job of it."""

    kind: str
    handler: Handler
    on: tuple[str, ...]
    plugin: str


class Plugins:
    """
    The plugins of one SDK; two SDKs in one process share nothing.

    Thread-safe after construction.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        extra: Iterable[object] = (),
        discover: bool = True,
        trace: bool = False,
        settings: Settings | None = None,
        metrics: object = None,
    ) -> None:
        """
        Load plugins.

        Args:
            allow: If not empty, load only these, and require each.
            deny: Do not load these.
            extra: Plugin objects from the host.
            discover: Whether to load installed plugins.
            trace: Whether to log each hook call.
            settings: Passed to plugins when they register jobs.
            metrics: An item of `extra` that needs no hooks.
        """
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(HookSpecs)
        self.registry = Registry()
        self.infos: list[PluginInfo] = []
        self.observer_errors: Counter[str] = Counter()
        self._jobs: dict[str, JobRegistration] = {}
        self._settings = settings
        self._allow, self._deny = tuple(allow), frozenset(deny)
        if trace:
            self.manager.add_hookcall_monitoring(_trace_before, _trace_after)
        if discover:
            self._discover()
        for plugin in extra:
            hookless = plugin is metrics
            self._add(plugin, PluginInfo(name=_name_of(plugin)), hookless=hookless)
        self._note_missing()

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        extra: Iterable[object] = (),
        discover: bool = True,
        metrics: object = None,
    ) -> Self:
        """Load plugins as the settings say."""
        return cls(
            allow=settings.plugins,
            deny=settings.disable_plugins,
            extra=extra,
            discover=discover,
            trace=settings.trace_plugins,
            settings=settings,
            metrics=metrics,
        )

    @property
    def missing_required(self) -> tuple[str, ...]:
        """Required plugins whose hooks are not active."""
        return tuple(name for name in self._allow if not self._is_in_force(name))

    def _is_in_force(self, name: str) -> bool:
        plugin = self.manager.get_plugin(name)
        return plugin is not None and bool(self.manager.get_hookcallers(plugin))

    def require_ready(self) -> None:
        """Raise `PluginUnavailableError` if a required plugin is missing."""
        if self.missing_required:
            raise PluginUnavailableError(
                "FRAPPE_ENROLL_PLUGINS: absent or broken: "
                + ", ".join(self.missing_required),
                field="FRAPPE_ENROLL_PLUGINS",
            )

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call observers, isolated from each other and from the SDK."""
        for impl in getattr(self.manager.hook, hook).get_hookimpls():
            given = [arguments[name] for name in impl.argnames]
            name = f"{hook} of {impl.plugin_name}"
            try:
                wall.ran(name, wall.call(name, impl.function, *given))
            except Exception:
                self.note_lost(impl.plugin_name)
                logger.exception(
                    "observer failed", extra={"hook": hook, "plugin": impl.plugin_name}
                )

    def note_lost(self, plugin: str) -> None:
        """Count a failed call that will not be repeated."""
        self.observer_errors[plugin] += 1

    def check(self, hook: str, **arguments: Any) -> None:
        """Call vetoes: let a `RejectedError` through, make any other error a 503."""
        try:
            self._ask(hook, arguments, lambda _: None)
        except RejectedError:
            raise
        except EnrollError as error:
            raise _failed(hook, error) from error

    def _ask(
        self, hook: str, arguments: Mapping[str, Any], read: Callable[[Any], T]
    ) -> T:
        """
        Call a hook and validate its answer.

        Raises:
            EnrollError: As the plugin raised it.
            PluginFailedError: It raised anything else, or its answer is not valid.
        """
        try:
            answers = wall.call(hook, getattr(self.manager.hook, hook), **arguments)
            for answer in answers if isinstance(answers, list) else [answers]:
                wall.ran(hook, answer)
            return read(answers)
        except EnrollError:
            raise
        except Exception as error:
            raise _failed(hook, error) from error

    def enrich_checkout(self, *, enrollment: Enrollment) -> Enrichment:
        """Collect additions from plugins; the first plugin to name a key wins."""
        given = {"enrollment": enrollment}
        fields = self._ask("enrich_checkout", given, enrichment_answer)
        foreign = set(fields["parameters"]) - ALLOWED_PARAMETERS
        if foreign:
            raise ConfigurationError(
                f"enrich_checkout: parameters not allowed: {', '.join(sorted(foreign))}"
            )
        return Enrichment(**fields)

    def grant_fields(self) -> tuple[GrantField, ...]:
        """Collect the fields of the grant form; the first to name one wins."""
        return self._ask("grant_fields", {}, fields_answer)

    def get_course(self, course_id: str) -> Course | None:
        """Ask plugins for a course."""
        return self._ask("get_course", {"course_id": course_id}, course_answer)

    def authenticate_admin(self, environ: Mapping[str, Any]) -> tuple[str, str] | None:
        """Ask the plugins for the (name, role) of the operator who sends a request."""
        given = {"environ": environ}
        return self._ask("authenticate_admin", given, operator_answer)

    def authenticate_learner(self, environ: Mapping[str, Any]) -> str | None:
        """Ask the plugins for the address that the host's own login proves."""
        return self._ask("authenticate_learner", {"environ": environ}, learner_answer)

    def decide_retry(self, job: Job, code: str, tries: int) -> float | None:
        """
        Ask the plugins when a job runs again after `tries` tries.

        None = as scheduled.
        """
        given = {"job": job, "code": code, "tries": tries}
        try:
            return self._ask("decide_retry", given, wait_answer)
        except EnrollError:
            logger.exception("decide_retry failed", extra={"job": job.key})
            return None

    def commands(self) -> list[Any]:
        """Return the click commands that plugins add."""
        found: list[Any] = []
        for impl in self.manager.hook.register_commands.get_hookimpls():
            name = f"register_commands of {impl.plugin_name}"
            given = [found.append] if impl.argnames else []
            try:
                wall.ran(name, wall.call(name, impl.function, *given))
            except Exception as error:  # noqa: BLE001  keep the others' commands
                words = "%s failed: %s"
                logger.error(words, name, _cause(error))  # noqa: TRY400  for a terminal
        return found

    def job_kinds(self, fact: str) -> tuple[str, ...]:
        """Return the kinds of jobs that a fact enqueues."""
        return tuple(job.kind for job in self._jobs.values() if fact in job.on)

    def handler(self, kind: str) -> Handler | None:
        """Return the handler for a kind, or None."""
        job = self._jobs.get(kind)
        return job.handler if job else None

    def _discover(self) -> None:
        seen: dict[str, str] = {}
        # A slow import, so only loaded by whoever looks for plugins.
        from importlib import metadata  # noqa: PLC0415

        for entry in metadata.entry_points(group=PROJECT):
            dist = entry.dist.name if entry.dist else ""
            version = entry.dist.version if entry.dist else ""
            info = PluginInfo(name=entry.name, dist=dist, version=version)
            if self._is_off(entry.name):
                self.infos.append(attrs.evolve(info, status="disabled"))
            elif seen.setdefault(entry.name, dist) != dist:
                error = f"the name is already taken by {seen[entry.name]}"
                self._report(attrs.evolve(info, status="broken", error=error))
            else:
                self._load(entry, info)

    def _is_off(self, name: str) -> bool:
        return name in self._deny or bool(self._allow and name not in self._allow)

    def _load(self, entry: metadata.EntryPoint, info: PluginInfo) -> None:
        try:
            plugin = wall.contained(f"the import of {entry.value}", entry.load)
        except Exception as error:  # noqa: BLE001  a broken plugin must not harm the host
            self._report(attrs.evolve(info, status="broken", error=_cause(error)))
        else:
            self._add(plugin, info)

    def _add(self, plugin: object, info: PluginInfo, *, hookless: bool = False) -> None:
        # By identity: equal objects are two plugins, and one of them may be broken.
        pairs = self.manager.list_name_plugin()
        known = next((name for name, other in pairs if other is plugin), None)
        if known is not None:
            # One plugin, however often it is passed or found.
            logger.warning("plugin %s is already loaded, as %s", info.name, known)
            return
        try:
            hooks = self._take(plugin, info.name, hookless=hookless)
        except Exception as error:  # noqa: BLE001  a broken plugin must not harm the host
            # Remove only what this very object added: another one may have its name.
            if self.manager.get_plugin(info.name) is plugin:
                self.manager.unregister(name=info.name)
            self._report(attrs.evolve(info, status="broken", error=_cause(error)))
        else:
            self.infos.append(attrs.evolve(info, hooks=hooks))

    def _take(self, plugin: object, name: str, *, hookless: bool) -> tuple[str, ...]:
        """Register a plugin with everything it adds, or raise; return its hooks."""
        if self.manager.get_plugin(name) is not None:
            raise ConfigurationError(
                f"the name {name!r} is already taken: give the object another __name__"
            )
        if inspect.isclass(plugin) and _wants_self(plugin):
            raise ConfigurationError("it is a class: pass an instance of it")
        if wall.contained(name, self.manager.register, plugin, name=name) is None:
            raise ConfigurationError("the plugin blocks itself")
        callers = self.manager.get_hookcallers(plugin) or []
        if not callers and not hookless:
            raise ConfigurationError(
                "it has no hooks: its functions need @frappe_enroll_sdk.hookimpl"
            )
        self._check(plugin)
        backends, jobs = self._collect(plugin, name)
        for claim in backends:
            self.registry.add(name, *claim)
        self._jobs |= jobs
        return tuple(sorted(caller.name for caller in callers))

    def _check(self, plugin: object) -> None:
        """Reject unknown hooks and wrappers around observers."""
        self.manager.check_pending()
        for caller in self.manager.get_hookcallers(plugin) or []:
            for impl in caller.get_hookimpls():
                wraps = impl.wrapper or impl.hookwrapper
                if impl.plugin is plugin and wraps and caller.name in OBSERVERS:
                    raise ConfigurationError(f"{caller.name} can't be wrapped")

    def _collect(
        self, plugin: object, name: str
    ) -> tuple[list[tuple[str, str, str]], dict[str, JobRegistration]]:
        """Return the plugin's own backends and jobs, so that it breaks alone."""
        backends: list[tuple[str, str, str]] = []
        jobs: dict[str, JobRegistration] = {}

        def register_backend(kind: str, backend: str, target: str) -> None:
            check_kind(name, kind)
            backends.append((kind, backend, target))

        def register_job(
            kind: str, handler: Handler, *, on: Iterable[str] = ()
        ) -> None:
            check_registration(kind, handler, on)
            if kind in self._jobs or kind in jobs or kind in OWN_KINDS:
                raise ConfigurationError(f"the job kind {kind!r} is taken")
            jobs[kind] = JobRegistration(
                kind=kind, handler=handler, on=tuple(on), plugin=name
            )

        for hook, register in (
            ("register_backends", register_backend),
            ("register_jobs", register_job),
        ):
            for impl in getattr(self.manager.hook, hook).get_hookimpls():
                if impl.plugin is plugin:
                    given = {"register": register, "settings": self._settings}
                    values = [given[argument] for argument in impl.argnames]
                    wall.ran(hook, wall.call(hook, impl.function, *values))
        return backends, jobs

    def _note_missing(self) -> None:
        known = {info.name for info in self.infos}
        for name in self._allow:
            if name not in known:
                error = "named in FRAPPE_ENROLL_PLUGINS, but not installed"
                self._report(PluginInfo(name=name, status="missing", error=error))

    def _report(self, info: PluginInfo) -> None:
        self.infos.append(info)
        # Hosts' log formats show no extras, and this line is all an operator gets.
        logger.error(
            "plugin %s unavailable: %s",
            info.name,
            info.error,
            extra={"plugin": info.name, "cause": info.error},
        )


def _name_of(plugin: object) -> str:
    own = getattr(plugin, "__name__", None)
    return str(own or type(plugin).__name__)


def _wants_self(plugin: type) -> bool:
    """Tell whether a class has hooks that need an instance."""
    static = (inspect.getattr_static(plugin, name) for name in dir(plugin))
    mark = f"{PROJECT}_impl"
    return any(inspect.isfunction(one) and hasattr(one, mark) for one in static)


def _failed(hook: str, error: Exception) -> PluginFailedError:
    if isinstance(error, PluginFailedError):
        return error
    return PluginFailedError(f"a plugin's {hook} failed: {type(error).__name__}")


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _trace_before(
    hook: str, impls: Sequence[pluggy.HookImpl], _: Mapping[str, Any]
) -> None:
    names = [impl.plugin_name for impl in impls]
    logger.info("hook call", extra={"hook": hook, "plugins": names})


def _trace_after(
    outcome: pluggy.Result[Any],
    hook: str,
    _: Sequence[pluggy.HookImpl],
    __: Mapping[str, Any],
) -> None:
    failed = outcome.exception is not None
    logger.info("hook answered", extra={"hook": hook, "failed": failed})
