import { describe, expect, it } from "vitest";
import { stripComments } from "../../codegen/json-comments.ts";
import { SchemaError } from "../../codegen/message-spec.ts";
import { parseMessage } from "../../codegen/parse.ts";
import { NONE } from "../../codegen/versions.ts";

const message = { apiKey: 7, type: "request", name: "GreetRequest", validVersions: "0-2", flexibleVersions: "2+" };

function parse(changes: Record<string, unknown>): ReturnType<typeof parseMessage> {
  return parseMessage("GreetRequest.json", JSON.stringify({ ...message, ...changes }));
}

function parseField(field: Record<string, unknown>): ReturnType<typeof parseMessage>["fields"][number] | undefined {
  return parse({ fields: [field] }).fields[0];
}

describe("comments", () => {
  it("of both kinds vanish, also inside arrays, and strings keep what looks like one", () => {
    const text = '// head\n{ "a": [1, // one\n 2], /* two\nlines */ "b": "http://x /* y */", "c": "\\"// z" }';
    expect(JSON.parse(stripComments(text))).toEqual({ a: [1, 2], b: "http://x /* y */", c: '"// z' });
    expect(stripComments(text).split("\n")).toHaveLength(text.split("\n").length);
  });
});

describe("values", () => {
  it("may be raw where the language says text: default, tag, ignorable", () => {
    const raw = parseField({
      name: "A",
      type: "int32",
      versions: "2+",
      taggedVersions: "2+",
      tag: 0,
      default: -1,
      ignorable: true,
    });
    const text = parseField({
      name: "A",
      type: "int32",
      versions: "2+",
      taggedVersions: "2+",
      tag: "0",
      default: "-1",
      ignorable: "true",
    });
    expect(raw).toEqual(text);
    expect(raw?.default).toBe("-1");
  });

  it("a bare null as default means that none is given", () => {
    expect(parseField({ name: "A", type: "string", versions: "0+", default: null })?.default).toBeUndefined();
  });

  it("versions of a tagged field are its taggedVersions if not given", () => {
    expect(parseField({ name: "A", type: "int8", taggedVersions: "2+", tag: 0 })?.versions.lowest).toBe(2);
  });

  it("a single object stands for a list of one", () => {
    const parsed = parse({ fields: { name: "A", type: "bool", versions: "0+" } });
    expect(parsed.fields.map((field) => field.name)).toEqual(["A"]);
  });

  it("a removed message needs neither fields nor flexible versions", () => {
    const stub = parseMessage(
      "X.json",
      '{ "apiKey": 4, "type": "request", "name": "XRequest", "validVersions": "none" }',
    );
    expect(stub.validVersions).toEqual(NONE);
    expect(stub.fields).toEqual([]);
  });

  it("latestVersionUnstable may be false explicitly", () => {
    expect(parse({ latestVersionUnstable: false, fields: [] }).latestVersionUnstable).toBe(false);
  });
});

describe("common structs", () => {
  const point = { name: "Point", versions: "1+", fields: [{ name: "X", type: "int32", versions: "0+" }] };

  it("stand wherever they are named, with their own versions", () => {
    const fields = [
      { name: "From", type: "Point", versions: "1+" },
      { name: "Through", type: "[]Point", versions: "1+" },
    ];
    const [from, through] = parse({ commonStructs: [point], fields }).fields;
    const expected = {
      kind: "struct",
      name: "Point",
      fields: [expect.objectContaining({ name: "X", versions: { lowest: 1, highest: Infinity } })],
    };
    expect(from?.type).toEqual(expected);
    expect(through?.type).toEqual({ kind: "array", element: expected });
  });

  it.each([
    ["a second definition", [point, point], [], "commonStructs.Point: is defined twice"],
    ["a small first letter", [{ ...point, name: "point" }], [], "capitalised"],
    [
      "fields at the use",
      [point],
      [{ name: "A", type: "Point", versions: "1+", fields: [] }],
      "GreetRequest.A: struct Point is a common struct",
    ],
  ])("refuse %s", (_what, commonStructs, fields, reason) => {
    expect(() => parse({ commonStructs, fields })).toThrow(reason);
  });

  it("refuse a struct that contains itself", () => {
    const loop = { name: "Loop", versions: "0+", fields: [{ name: "Next", type: "Loop", versions: "0+" }] };
    expect(() => parse({ commonStructs: [loop], fields: [{ name: "First", type: "Loop", versions: "0+" }] })).toThrow(
      "GreetRequest.json: GreetRequest.First.Next: struct Loop contains itself",
    );
  });
});

describe("errors name the file and the path of the field", () => {
  const inner = (field: Record<string, unknown>): Record<string, unknown> => ({
    fields: [{ name: "Guests", type: "[]Guest", versions: "0+", fields: [field] }],
  });
  it.each([
    ["an unknown key of a message", { color: "red" }, 'GreetRequest.json: key "color"'],
    ["an unknown kind", { type: "metadata" }, 'GreetRequest.json: GreetRequest: type "metadata"'],
    ["a missing key", { apiKey: undefined }, "apiKey undefined"],
    ["malformed versions", { validVersions: "2-1" }, 'validVersions "2-1"'],
    [
      "an unknown key of a field",
      inner({ name: "A", type: "bool", versions: "0+", colour: 1 }),
      'GreetRequest.Guests.A: key "colour"',
    ],
    [
      "a type that does not exist",
      inner({ name: "A", type: "int128", versions: "0+" }),
      "GreetRequest.Guests.A: type int128",
    ],
    [
      "a struct without definition",
      inner({ name: "A", type: "Other", versions: "0+" }),
      "GreetRequest.Guests.A: struct Other",
    ],
    [
      "an array of arrays",
      inner({ name: "A", type: "[][]int8", versions: "0+" }),
      "GreetRequest.Guests.A: arrays of arrays",
    ],
    [
      "fields of a primitive",
      inner({ name: "A", type: "bool", versions: "0+", fields: [] }),
      "type bool has no fields",
    ],
    ["a field without versions", inner({ name: "A", type: "bool" }), "GreetRequest.Guests.A: has neither versions"],
    [
      "a tag that is no number",
      inner({ name: "A", type: "bool", versions: "2+", taggedVersions: "2+", tag: "x" }),
      'tag "x"',
    ],
    [
      "a default that is a list",
      inner({ name: "A", type: "bool", versions: "0+", default: [] }),
      "default [] is neither",
    ],
    [
      "an ignorable that is no bool",
      inner({ name: "A", type: "bool", versions: "0+", ignorable: "maybe" }),
      'ignorable "maybe"',
    ],
    ["a name with a dash", inner({ name: "A-B", type: "bool", versions: "0+" }), "GreetRequest.Guests.A-B"],
  ])("for %s", (_what, changes, reason) => {
    expect(() => parse(changes)).toThrow(SchemaError);
    expect(() => parse(changes)).toThrow(reason);
    expect(() => parse(changes)).toThrow("GreetRequest.json");
  });

  it("for a field given twice", () => {
    const field = { name: "A", type: "bool", versions: "0+" };
    expect(() => parse({ fields: [field, field] })).toThrow("GreetRequest.json: GreetRequest.A: is defined twice");
  });

  it("for text that is no JSON", () => {
    expect(() => parseMessage("Broken.json", "{ nope")).toThrow("Broken.json: not JSON");
  });
});
