"""Sections that hand on settings of a library beside their own keys, under the library's names."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from tasks.library_settings import checked, handed_on, schema_of
from tasks.sections.section import Section

__all__ = ["HandingOn"]


def _complete(schema: dict[str, Any], section: type[HandingOn]) -> None:
    """Let editors know what is handed on, and that nothing else is."""
    own = schema["properties"]
    handed = {k: v for k, v in schema_of(section.SECTION).items() if k not in own}
    schema["properties"] = own | handed
    schema["additionalProperties"] = False


class HandingOn(Section):
    """A section with room for what its library knows; each value is checked for its type."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_complete)

    #: Its key in the recipe.
    SECTION: ClassVar[str] = ""

    def handed_on(self) -> dict[str, Any]:
        """Return what goes to the library beside our own keys."""
        return dict(self.model_extra or {})

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, data: Any, handler: ModelWrapValidatorHandler) -> Any:  # noqa: ANN401 - pydantic's
        """Tell the problems of all keys at once, ours and the library's, each with its place."""
        problems: list[InitErrorDetails] = []
        if isinstance(data, dict):
            data = data | cls._strangers(data, problems)
        try:
            made = handler(data)
        except ValidationError as error:
            told = [
                InitErrorDetails(
                    type=PydanticCustomError(
                        _literal(e["type"]), _plain(e["msg"]), e.get("ctx", {})
                    ),
                    loc=e["loc"],
                    input=e["input"],
                )
                for e in error.errors()
            ]
            if not problems:
                raise
            problems = [*told, *problems]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return made

    @classmethod
    def _strangers(cls, data: dict[str, Any], problems: list[InitErrorDetails]) -> dict[str, Any]:
        """Return the library's settings in its types, and add what is wrong to `problems`."""
        strangers = {k: v for k, v in data.items() if k not in cls.model_fields}
        known = handed_on(cls.SECTION) if strangers else {}
        made = {}
        for name, value in strangers.items():
            if name not in known:
                problems.append(InitErrorDetails(type="extra_forbidden", loc=(name,), input=value))
                continue
            try:
                made[name] = checked(cls.SECTION, name, value)
            except ValueError as error:
                kind = PydanticCustomError("handed_on", _plain(str(error)))
                problems.append(InitErrorDetails(type=kind, loc=(name,), input=value))
        return made


def _plain(text: str) -> Any:  # noqa: ANN401 - a LiteralString for the type checker
    """Return a message that pydantic does not read as a template."""
    return _literal(text.replace("{", "(").replace("}", ")"))


def _literal(text: str) -> Any:  # noqa: ANN401 - as above
    return text
