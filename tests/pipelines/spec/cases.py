"""Wrong passages: what is replaced in the example, by what, and the answer: line, column, step, parameter, words of
the message, words of the hint."""

from __future__ import annotations

Answer = tuple[int, int, str, str, str, str]

CASES: list[tuple[str, str, Answer]] = [
    (
        "uses: extract.csv@1",
        "uses: extract.cvs@1",
        (12, 11, "load", "", "extract.cvs@1", "did you mean 'extract.csv@1'"),
    ),
    (
        "uses: extract.csv@1",
        "uses: extract.csv@7",
        (12, 11, "load", "", "extract.csv@7", "did you mean 'extract.csv@1'"),
    ),
    ('{path: "$', '{pth: "$', (13, 12, "load", "pth", "no parameter 'pth'", "did you mean 'path'")),
    (
        'with: {path: "${applications}"}',
        'with: {delimiter: "${applications}"}',
        (13, 5, "load", "path", "needs parameter 'path'", ""),
    ),
    ('"${applications}"', '"${applications}", header: yes', (13, 45, "load", "header", "true or false", "YAML 1.2")),
    ('"${applications}"', '"${applications}", header: 1', (13, 45, "load", "header", "found 1", "")),
    ("min: 0", 'min: "0"', (19, 46, "check", "rules[0].min", "should be a number, found text", "without quotes")),
    (", min: 0", "", (19, 11, "check", "rules[0]", "a range needs min, max or both", "")),
    ("min: 0", "minimum: 0", (19, 41, "check", "rules[0].minimum", "not known here", "'min'")),
    ("kind: range", "kind: rang", (19, 18, "check", "rules[0].kind", "'range', 'one-of'", "")),
    ("options: {C: 1.0}", "estimator: forrest", (35, 18, "train", "estimator", "'logistic' or 'forest'", "")),
    ("options: {C: 1.0}", "options: {C: [1]}", (35, 20, "train", "options.C", "found a list", "")),
    (
        "model: train.model, table",
        "model: split.model, table",
        (40, 21, "judge", "inputs.model", "no output 'model'", "test, train"),
    ),
    (
        "model: train.model, table",
        "model: split.train, table",
        (40, 21, "judge", "inputs.model", "split.train is a table, but a model is needed", ""),
    ),
    ("table: split.test", "table: splitt.test", (40, 41, "judge", "inputs.table", "no step 'splitt'", "'split'")),
    ("table: split.test", "tabel: split.test", (40, 34, "judge", "inputs.tabel", "no input 'tabel'", "'table'")),
    (", table: split.test", "", (40, 5, "judge", "inputs.table", "needs input 'table'", "<step>.<output>")),
    ("table: split.test", "table: split", (40, 41, "judge", "inputs.table", "should match", "<step>.<output>")),
    (
        "table: split.test",
        "table: split.test, reference: judge.x",
        (40, 64, "judge", "inputs.reference", "its own output", ""),
    ),
    (
        'with: {path: "${applications}"}',
        'inputs: {file: load.table}\n    with: {path: "${applications}"}',
        (13, 14, "load", "inputs.file", "no input 'file'", "'path'"),
    ),
    ("- name: register", "- name: judge", (41, 11, "judge", "", "already called 'judge'", "line 38")),
    ("- name: register", "- name: Register", (41, 11, "Register", "name", "should match", "lower-case")),
    ("timeout: 300", "timeout: 0", (36, 14, "train", "timeout", "greater than 0", "")),
    ("timeout: 300", "timeout: 5m", (36, 14, "train", "timeout", "should be a number, found text", "")),
    ("timeout: 300", "retries: 3", (36, 5, "train", "retries", "not known here", "timeout")),
    ("memory: 2GiB", "memory: 2GB", (37, 13, "train", "memory", "KiB, MiB or GiB", "")),
    ("memory: 2GiB", "memory: 12", (37, 13, "train", "memory", "greater than or equal to 1048576", "")),
    ("kind: Pipeline", "kind: Pipelin", (2, 7, "", "kind", "'Pipeline'", "")),
    (
        "apiVersion: countersign/v1",
        "apiversion: countersign/v1",
        (1, 1, "", "apiversion", "not known here", "'apiVersion'"),
    ),
    (
        "  name: credit-applications",
        "  name: Credit Applications",
        (4, 9, "", "metadata.name", "should match", "hyphens"),
    ),
    ("  name: credit-applications\n", "", (3, 1, "", "metadata.name", "is missing", "")),
    ("{type: string}", "{type: text}", (9, 18, "", "target", "'string'", "")),
    ("{type: string}", "{type: string, default: 3}", (9, 35, "", "target", "should be text, found 3", "")),
    ("{type: string}", "{type: string, default: null}", (9, 35, "", "target", "found nothing", "leave default out")),
    ("default: 0.2", "default: true", (8, 37, "", "fraction", "should be a number, found true", "")),
    ("default: 0.2", "default: 0.2, choices: [0.1, 0.3]", (8, 37, "", "fraction", "one of 0.1, 0.3", "")),
    (
        "default: 0.2",
        "default: 0.2, choices: [0.2, high]",
        (8, 57, "", "fraction", "a choice of 'fraction' should be a number", ""),
    ),
    ("default: 0.2", "default: 2.5", (29, 22, "split", "fraction", "should be less than 1, found 2.5", "")),
    ("default: 0.2", "default: 0.2, unit: x", (8, 42, "", "fraction", "not known here", "")),
    (
        '{fraction: "${fraction}"}',
        '{fraction: "${fracton}"}',
        (29, 22, "split", "fraction", "'fracton', which is not declared", "'fraction'"),
    ),
    ('{fraction: "${fraction}"}', "{}", (8, 3, "", "fraction", "'fraction' is never used", "${fraction}")),
    ("note <> '$${x}'", "note <> '${X}'", (25, 12, "clean", "sql", "no reference", "$${")),
    (
        '{fraction: "${fraction}"}',
        '{fraction: "0${fraction}"}',
        (29, 22, "split", "fraction", "should be a number, found text", ""),
    ),
]
