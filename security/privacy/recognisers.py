"""The recognisers that the detector runs, pinned: Presidio's own where they are good, ours where they miss too much.

None of them needs a language model. US_DRIVER_LICENSE is left out: it takes ``A1`` for a licence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
import tldextract
from presidio_analyzer import (
    AnalysisExplanation,
    EntityRecognizer,
    LocalRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    DateRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    UsItinRecognizer,
    UsSsnRecognizer,
)

REGIONS = ("US", "GB", "DE", "FR", "IN", "BR")

_suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class OfflineEmail(EmailRecognizer):
    """Presidio's e-mail recogniser with the suffix list that tldextract carries; the original may fetch a newer one."""

    def validate_result(self, pattern_text: str) -> bool:
        return bool(_suffixes(pattern_text).top_domain_under_public_suffix)


class WideCreditCard(CreditCardRecognizer):
    """12 to 19 digits in any grouping with a known issuer prefix; Luhn decides (the original knows 4-4-4-4 best)."""

    _ISSUERS = re.compile(r"4|5[0-8]|6|2[2-7]|3[0-9]|1800|2131")
    _TWELVE = re.compile(r"50|5[6-8]|6")
    GROUPED = Pattern("12 to 19 digits", r"(?<!\w)(?<!\d[ -])\d(?:[ -]?\d){11,18}(?!\w)(?![ -]\d)", 0.3)

    def __init__(self) -> None:
        super().__init__(patterns=[*CreditCardRecognizer.PATTERNS, self.GROUPED])

    def validate_result(self, pattern_text: str) -> bool:
        digits = re.sub(r"\D", "", pattern_text)
        issuers = self._TWELVE if len(digits) < 13 else self._ISSUERS
        return bool(issuers.match(digits)) and luhn(digits)


class WebAddress(PatternRecognizer):
    """An address with a scheme or ``www.``; a bare ``word.tld`` is more often a missing space than an address."""

    def __init__(self) -> None:
        pattern = Pattern("address", r"(?i)(?<!\w)(?:https?://|www\.)[^\s<>\"']{3,2000}", 0.6)
        super().__init__(supported_entity="URL", patterns=[pattern])


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1 annex B)."""
    doubled = "0246813579"
    total = sum(int(doubled[int(digit)]) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0


class PhoneByShape(LocalRecognizer):
    """Telephone numbers by their shape, checked against the numbering plans only where the shape leaves a doubt.

    Presidio's own runs a slow matcher per region and finds half of the foreign and made-up numbers. Here a number is
    7 to 15 digits (ITU-T E.164) with an international prefix, a bracketed area code or three groups; two groups or
    none must have ten digits and be valid in one of ``REGIONS``. Dates, amounts with thousands groups, years, IP
    addresses, social security and card numbers are out.
    """

    _CANDIDATE = re.compile(
        r"(?<![\w@#/:.,-])(?:\+ ?)?\(?\d[\d ().\-–/]{4,22}\d(?: ?(?:x|ext\.?|extension) ?\d{1,6})?(?![\w@])",
        re.IGNORECASE,
    )
    _OTHER_THINGS = tuple(
        re.compile(shape)
        for shape in (
            r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b.*",  # a date, year first
            r"\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})\b.*",  # a date, year last
            r"\d{1,3}(?:\.\d{1,3}){3}",  # an IPv4 address
            r"\d{3}[- .]\d{2}[- .]\d{4}",  # a social security number
            r"\d{5}-\d{4}",  # ZIP+4
            r"\d+\.\d+",  # a decimal number
            r"[1-9]\d{0,2}(?:[ .]\d{3})+",  # thousands groups
            r"(?:(?:19|20)\d{2}\D+)+(?:19|20)\d{2}",  # years
        )
    )
    _LOCAL = re.compile(r"[2-9]\d{2}[-. ]\d{4}")

    def __init__(self) -> None:
        super().__init__(supported_entities=["PHONE_NUMBER"], supported_language="en")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Findings with score 0.5 (Presidio's signature)."""
        return [
            RecognizerResult("PHONE_NUMBER", start, end, 0.5, AnalysisExplanation(type(self).__name__, 0.5))
            for start, end in self._spans(text)
        ]

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self._CANDIDATE.finditer(text):
            if self._is_phone(match.group()):
                yield match.span()

    def _is_phone(self, candidate: str) -> bool:
        number = re.split(r" ?(?:x|ext)", candidate, maxsplit=1, flags=re.IGNORECASE)[0]
        digits = re.sub(r"\D", "", number)
        if not 7 <= len(digits) <= 15 or any(shape.fullmatch(number) for shape in self._OTHER_THINGS):
            return False
        if len(digits) >= 13 and luhn(digits) and not number.startswith(("+", "00")):
            return False
        groups = re.findall(r"\d+", number)
        clear = number.startswith(("+", "00", "(")) or len(groups) >= 3 or self._LOCAL.fullmatch(number)
        return bool(clear) or (len(digits) >= 10 and _valid_somewhere(number))


def _valid_somewhere(number: str) -> bool:
    for region in REGIONS:
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(number, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def pinned() -> dict[str, EntityRecognizer]:
    """One recogniser per entity, in a fixed order."""
    found: list[EntityRecognizer] = [
        OfflineEmail(),
        PhoneByShape(),
        WideCreditCard(),
        UsSsnRecognizer(),
        UsItinRecognizer(),
        IbanRecognizer(),
        IpRecognizer(),
        MacAddressRecognizer(),
        CryptoRecognizer(),
        WebAddress(),
        DateRecognizer(),
    ]
    return {recogniser.supported_entities[0]: recogniser for recogniser in found}
