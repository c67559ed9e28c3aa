"""Edits that make a parameter of the Bundle wrong."""

from __future__ import annotations

from tests.core.documents.edit import Bad

BAD_PARAMETERS = {
    "parameter's type": Bad(
        "type: boolean",
        "type: bool",
        "39:13",
        "spec.parameters[2].type",
        "expected one of string",
        "mean boolean?",
    ),
    "parameter's name": Bad(
        "name: replicas",
        'name: "my replicas"',
        "33:13",
        "spec.parameters[1].name",
        "a letter first",
    ),
    "parameter's name twice": Bad(
        "name: replicas",
        "name: storageClass",
        "33:13",
        "spec.parameters[1].name",
        "as item 0 is already",
        schema=False,
    ),
    "integer in quotes": Bad(
        "default: 2",
        'default: "2"',
        "35:16",
        "spec.parameters[1].default",
        "is '2', expected an integer",
    ),
    "boolean for an integer": Bad(
        "default: 2",
        "default: true",
        "35:16",
        "spec.parameters[1].default",
        "is true, expected an integer",
    ),
    "fraction": Bad(
        "default: 2", "default: 2.5", "35:16", "spec.parameters[1].default", "is 2.5, a number"
    ),
    "infinity": Bad(
        "default: 2", "default: .inf", "35:16", "spec.parameters[1].default", "is .inf, a number"
    ),
    "yes for a boolean": Bad(
        "default: false",
        "default: yes",
        "40:16",
        "spec.parameters[2].default",
        "is 'yes', expected true or false",
    ),
    "number for a string's default": Bad(
        "default: standard",
        "default: 5",
        "29:16",
        "spec.parameters[0].default",
        "is 5, expected a string",
        '"5"',
    ),
    "default against the pattern": Bad(
        "default: standard",
        "default: Standard",
        "29:16",
        "spec.parameters[0].default",
        "which pattern",
        schema=False,
    ),
    "default against the pattern's end": Bad(
        "default: standard",
        'default: "standard\\n"',
        "29:16",
        "spec.parameters[0].default",
        "which pattern",
        schema=False,
    ),
    "default not in values": Bad(
        "default: info",
        "default: warn",
        "46:16",
        "spec.parameters[3].default",
        "expected one of info, debug",
        schema=False,
    ),
    "pattern missing": Bad(
        '      pattern: "[a-z0-9-]{1,63}"\n', "", "26:7", "spec.parameters[0].pattern", "is missing"
    ),
    "pattern that is none": Bad(
        '"[a-z0-9-]{1,63}"',
        '"[a-z"',
        "28:16",
        "spec.parameters[0].pattern",
        "no regular expression",
        schema=False,
    ),
    "pattern of an integer": Bad(
        "default: 2",
        "pattern: a\n      default: 2",
        "35:16",
        "spec.parameters[1].pattern",
        "only for type: string",
    ),
    "values missing": Bad(
        "      values: [info, debug]\n",
        "",
        "43:7",
        "spec.parameters[3].values",
        "is missing or empty",
    ),
    "values of an integer": Bad(
        "default: 2",
        "values: [a]\n      default: 2",
        "35:15",
        "spec.parameters[1].values",
        "only for type: enum",
    ),
    "value twice": Bad(
        "[info, debug]",
        "[info, info]",
        "45:22",
        "spec.parameters[3].values[1]",
        "as item 0 is already",
    ),
    "value no string": Bad(
        "[info, debug]",
        "[info, 5]",
        "45:22",
        "spec.parameters[3].values[1]",
        "is 5, a number, expected a string",
        '"5"',
    ),
    "no target": Bad(
        "[{kind: Deployment, name: web, namespace: serving, path: /spec/replicas}]",
        "[]",
        "37:16",
        "spec.parameters[1].targets",
        "expected at least 1",
    ),
    "target's path": Bad(
        "/spec/replicas",
        "spec.replicas",
        "37:73",
        "spec.parameters[1].targets[0].path",
        "expected a JSON pointer",
    ),
    "target's path, whole object": Bad(
        "/spec/replicas",
        '""',
        "37:73",
        "spec.parameters[1].targets[0].path",
        "expected a JSON pointer",
    ),
    "target's kind": Bad(
        "kind: ConfigMap",
        "kind: configmap",
        "48:24",
        "spec.parameters[3].targets[0].kind",
        "expected a kind",
    ),
    "target of two parameters": Bad(
        "/spec/paused",
        "/spec/replicas",
        "42:17",
        "spec.parameters[2].targets[0]",
        "is set by spec.parameters[1] already",
        schema=False,
    ),
}
