"""Finds personal data in texts with Presidio: offline, pinned recognisers, and no language model unless asked for."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Sequence

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NerModelConfiguration, NoOpNlpEngine, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer
from spacy.util import is_package

from security.privacy.recognisers import pinned
from security.privacy.spans import Span, merge

PATTERN_ENTITIES = (
    "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "US_ITIN", "IBAN_CODE", "IP_ADDRESS", "MAC_ADDRESS",
    "CRYPTO", "URL",
)  # fmt: skip
OPTIONAL_ENTITIES = ("DATE_TIME",)
MODEL_ENTITIES = ("PERSON", "LOCATION", "NRP")
NEVER_COVERED = (
    "postal addresses",
    "organisations",
    "ages",
    "postcodes",
    "licence and passport numbers",
    "dates of birth",
)
MAX_CHARACTERS = 100_000

# Every pattern entity holds a digit, an @, a colon, or begins with www: most category columns need no analysis.
_WORTH_A_LOOK = re.compile(r"[0-9@:]|www\.", re.IGNORECASE)
_MODEL_NAME = re.compile(r"[a-z]{2,3}(_[a-z0-9]+){2,4}")


class ModelNotInstalledError(ValueError):
    """The named spaCy model is not an installed package; nothing is downloaded."""


class Detector:
    """Finds the ``entities`` with a score of at least ``threshold``.

    ``spacy_model`` names an installed spaCy package for names and places. Raises ModelNotInstalledError when it is
    not installed and ValueError for an entity that no recogniser finds.
    """

    def __init__(
        self, *, entities: Sequence[str] = PATTERN_ENTITIES, threshold: float = 0.4, spacy_model: str | None = None
    ) -> None:
        recognisers = pinned()
        known = [*recognisers, *(MODEL_ENTITIES if spacy_model else ())]
        unknown = [entity for entity in entities if entity not in known]
        if unknown:
            raise ValueError(f"no recogniser for {', '.join(unknown)}; known here: {', '.join(known)}")
        self.entities = tuple(dict.fromkeys([*entities, *(MODEL_ENTITIES if spacy_model else ())]))
        self.threshold = threshold
        self.spacy_model = spacy_model
        self._only_patterns = not spacy_model and "DATE_TIME" not in self.entities
        registry = RecognizerRegistry(
            recognizers=[recognisers[entity] for entity in self.entities if entity in recognisers],
            supported_languages=["en"],
        )
        if spacy_model:
            registry.add_recognizer(SpacyRecognizer(supported_language="en", supported_entities=list(MODEL_ENTITIES)))
        self._analyzer = AnalyzerEngine(
            registry=registry, nlp_engine=_nlp_engine(spacy_model), supported_languages=["en"]
        )

    @property
    def not_covered(self) -> list[str]:
        """What this detector cannot find, for the report."""
        every = (*PATTERN_ENTITIES, *OPTIONAL_ENTITIES, *MODEL_ENTITIES)
        return [entity for entity in every if entity not in self.entities] + list(NEVER_COVERED)

    @property
    def version(self) -> str:
        """The library and model that found what was found."""
        library = f"presidio-analyzer {importlib.metadata.version('presidio-analyzer')}"
        return (
            f"{library}, {self.spacy_model} {importlib.metadata.version(self.spacy_model)}"
            if self.spacy_model
            else library
        )

    def find(self, text: str) -> list[Span]:
        """Merged spans in text order. Raises ValueError for a text over MAX_CHARACTERS, which would take too long."""
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"a text has {len(text)} characters; at most {MAX_CHARACTERS} are scanned")
        if self._only_patterns and not _WORTH_A_LOOK.search(text):
            return []
        found = self._analyzer.analyze(
            text=text, language="en", entities=list(self.entities), score_threshold=self.threshold
        )
        return merge(Span(item.start, item.end, item.entity_type, item.score) for item in found)

    def find_all(self, texts: Iterable[str]) -> dict[str, list[Span]]:
        """The spans of each distinct text."""
        return {text: self.find(text) for text in dict.fromkeys(texts)}


def _nlp_engine(model: str | None) -> NoOpNlpEngine | SpacyNlpEngine:
    if model is None:
        engine: NoOpNlpEngine | SpacyNlpEngine = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    else:
        if not _MODEL_NAME.fullmatch(model) or not is_package(model):
            raise ModelNotInstalledError(
                f"the spaCy model {model!r} is not installed; install its package first, nothing is downloaded here"
            )
        mapping = {"PER": "PERSON", "PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "NORP": "NRP"}
        configuration = NerModelConfiguration(model_to_presidio_entity_mapping=mapping)
        engine = SpacyNlpEngine([{"lang_code": "en", "model_name": model}], ner_model_configuration=configuration)
    engine.load()
    return engine
