"""Front matter of model cards."""

from __future__ import annotations

import pytest

from bundler.core.errors import DocumentError
from bundler.core.modelcard import Metric, ModelCard, parse_card


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("---\nlicense: apache-2.0\ntags:\n- x\n---\n# Title\n", ModelCard(("apache-2.0",))),
        ("---\r\nlicense: mit\r\n---\r\ntext", ModelCard(("mit",))),
        ("---\nlicense: [mit, apache-2.0]\n---", ModelCard(("mit", "apache-2.0"))),
        (
            "---\nlicense: other\nlicense_name: llama-9\n---\n",
            ModelCard(("other",), "llama-9"),
        ),
        ("---\nlanguage: en\n---\n", ModelCard(languages=("en",))),
        ("---\nlicense:\n---\n", ModelCard()),
        ("---\n---\n", ModelCard()),
        ("# No front matter\n---\nlicense: mit\n---\n", ModelCard()),
        ("---\nlicense: mit\n", ModelCard()),
        ("", ModelCard()),
    ],
)
def test_a_card_is_read(text: str, card: ModelCard) -> None:
    assert parse_card(text, "README.md") == card


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("---\nlicense: 3\n---\n", r"README.md:2:10: license: expected text, found 3"),
        ("---\nlicense: ''\n---\n", "expected text, found ''"),
        ("---\nlicense: [mit, {a: b}]\n---\n", "expected text"),
        ("---\nlicense: mit\nlicense: gpl-3.0\n---\n", r"README.md:3:1: license: stands twice"),
        ("---\nlicense: !!python/name:os.system mit\n---\n", "tag"),
        ("---\n- mit\n---\n", "expected front matter to be one mapping"),
        ("---\nlicense: [mit\n---\n", "is not YAML"),
    ],
)
def test_a_bad_card_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        parse_card(text, "README.md")


DESCRIBED = """---
pipeline_tag: text-classification
library_name: transformers
base_model: [facebook/bart-large, 7]
datasets: multi_nli
language:
- en
- no
model-index:
- name: m
  results:
  - task: {type: x}
    dataset: {name: MNLI, type: multi_nli, config: default, split: "matched"}
    metrics:
    - {type: accuracy, value: 0.90}
    - {name: F1, value: "1e-1"}
    - {type: nothing}
  - dataset: {type: snli}
    metrics: [{type: loss, value: 2}, {type: x, value: [1]}]
  - metrics: 3
- 4
---
"""


def test_what_a_card_describes_is_taken_as_it_is_written() -> None:
    assert parse_card(DESCRIBED, "README.md") == ModelCard(
        task="text-classification",
        library="transformers",
        base_models=("facebook/bart-large", "7"),
        datasets=("multi_nli",),
        languages=("en", "no"),
        metrics=(
            Metric("accuracy", "0.90", "MNLI / default / matched"),
            Metric("F1", "1e-1", "MNLI / default / matched"),
            Metric("loss", "2", "snli"),
        ),
    )


@pytest.mark.parametrize(
    "line",
    ["pipeline_tag: [a]", "datasets: {a: b}", "datasets: [[a]]", "language:", "model-index: 3",
     "model-index: [{results: [{metrics: [3]}]}]", "base_model: ' '"],
)  # fmt: skip
def test_what_describes_in_another_form_is_left_out(line: str) -> None:
    assert parse_card(f"---\n{line}\n---\n", "README.md") == ModelCard()


@pytest.mark.parametrize(
    ("card", "license", "agrees"),
    [
        (ModelCard(("apache-2.0",)), "Apache-2.0", True),
        (ModelCard(("mit",)), "Apache-2.0", False),
        (ModelCard(("mit",)), "MIT AND Apache-2.0", False),
        (ModelCard(("mit", "apache-2.0")), "(MIT OR Apache-2.0)", True),
        (ModelCard(("mit", "apache-2.0")), "MIT", False),
        (ModelCard(("other",), "llama-9"), "LicenseRef-llama-9", True),
        (ModelCard(("other",), "llama-9"), "other", False),
        (ModelCard(("other",)), "other", True),
        (ModelCard(("other",)), "MIT", False),
        (ModelCard(("mit",), "llama-9"), "MIT", True),
        (ModelCard(), "MIT", False),
    ],
)
def test_a_card_agrees_by_name(card: ModelCard, license: str, agrees: bool) -> None:
    assert card.agrees(license) is agrees
