import { describe, expect, it } from "vitest";
import { type DefaultValue, defaultOf } from "../../codegen/defaults.ts";
import { parseMessage } from "../../codegen/parse.ts";

function defaultFor(field: Record<string, unknown>): DefaultValue {
  const text = JSON.stringify({
    type: "data",
    name: "D",
    validVersions: "0",
    flexibleVersions: "0+",
    fields: [{ name: "A", versions: "0+", ...field }],
  });
  const [spec] = parseMessage("D.json", text).fields;
  if (spec === undefined) throw new Error("no field");
  return defaultOf(spec, "D.A");
}

describe("the type's own default", () => {
  it.each([
    ["bool", { kind: "bool", value: false }],
    ["int8", { kind: "integer", value: 0n }],
    ["int64", { kind: "integer", value: 0n }],
    ["float64", { kind: "float", value: 0 }],
    ["string", { kind: "string", value: "" }],
    ["uuid", { kind: "uuid", value: "AAAAAAAAAAAAAAAAAAAAAA" }],
    ["bytes", { kind: "empty" }],
    ["records", { kind: "null" }],
    ["[]int32", { kind: "empty" }],
  ])("of %s holds where the schema gives none", (type, expected) => {
    expect(defaultFor({ type })).toEqual(expected);
    expect(defaultFor({ type, default: "" })).toEqual(expected);
  });

  it("of a struct is the struct with all its defaults", () => {
    expect(defaultFor({ type: "S", fields: [] })).toEqual({ kind: "struct" });
  });
});

describe("a given default", () => {
  it.each([
    ["int32", -1, -1n],
    ["int32", "-2147483648", -(2n ** 31n)],
    ["int32", "0x7fffffff", 2n ** 31n - 1n],
    ["int64", "0x7fffffffffffffff", 2n ** 63n - 1n],
    ["int16", "-0x10", -16n],
    ["int16", "010", 8n],
    ["uint16", "65535", 65_535n],
    ["uint32", "4294967295", 2n ** 32n - 1n],
  ])("of %s may be %s", (type, text, value) => {
    expect(defaultFor({ type, default: text })).toEqual({ kind: "integer", value });
  });

  it("may be a bool, a float, a string, a uuid or null", () => {
    expect(defaultFor({ type: "bool", default: true })).toEqual({ kind: "bool", value: true });
    expect(defaultFor({ type: "float64", default: "1.5" })).toEqual({ kind: "float", value: 1.5 });
    expect(defaultFor({ type: "string", default: "x" })).toEqual({ kind: "string", value: "x" });
    expect(defaultFor({ type: "uuid", default: "AAAAAAAAAAAAAAAAAAAAAQ" })).toEqual({
      kind: "uuid",
      value: "AAAAAAAAAAAAAAAAAAAAAQ",
    });
    for (const type of ["string", "bytes", "records", "[]int8"]) {
      expect(defaultFor({ type, default: "null", nullableVersions: "0+" })).toEqual({ kind: "null" });
    }
    expect(defaultFor({ type: "S", default: "null", nullableVersions: "0+", fields: [] })).toEqual({ kind: "null" });
  });

  it.each([
    ["int8", "300"],
    ["uint16", "-1"],
    ["int32", "1.5"],
    ["int32", "0x"],
    ["int32", "08"],
    ["bool", "yes"],
    ["float64", "much"],
    ["uuid", "short"],
    ["bytes", "x"],
  ])("of %s is refused if it is %s", (type, text) => {
    expect(() => defaultFor({ type, default: text })).toThrow("D.A: default");
  });
});
