import { describe, expect, it } from "vitest";
import { checkMessage, checkPairs, stableVersions } from "../../codegen/check.ts";
import { parseMessage } from "../../codegen/parse.ts";

const message = { apiKey: 7, type: "request", name: "GreetRequest", validVersions: "0-4", flexibleVersions: "2+" };

function check(changes: Record<string, unknown>): void {
  checkMessage(
    "GreetRequest.json",
    parseMessage("GreetRequest.json", JSON.stringify({ ...message, fields: [], ...changes })),
  );
}

function checkField(field: Record<string, unknown>): void {
  check({
    fields: [{ name: "Guests", type: "[]Guest", versions: "0+", fields: [{ name: "A", versions: "0+", ...field }] }],
  });
}

describe("a field", () => {
  it.each([
    ["an int that is nullable", { type: "int32", nullableVersions: "1+" }, "type int32 cannot be null"],
    ["a tag without taggedVersions", { type: "int32", tag: 0 }, "tag and taggedVersions"],
    ["taggedVersions without a tag", { type: "int32", taggedVersions: "2+" }, "tag and taggedVersions"],
    ["taggedVersions with an end", { type: "int32", taggedVersions: "2-3", tag: 0 }, "taggedVersions 2-3 have an end"],
    [
      "taggedVersions before flexible ones",
      { type: "int32", taggedVersions: "1+", tag: 0 },
      "taggedVersions 1+ are not all flexible",
    ],
    [
      "taggedVersions outside its versions",
      { type: "int32", versions: "3+", taggedVersions: "2+", tag: 0 },
      "not within its versions",
    ],
    [
      "a tag that is not the first",
      { type: "int32", taggedVersions: "2+", tag: 1 },
      "tags 1 are not unique and contiguous",
    ],
    ["a tagged map key", { type: "int32", taggedVersions: "2+", tag: 0, mapKey: true }, "cannot be a map key"],
    [
      "a tagged field nullable in some",
      { type: "string", taggedVersions: "2+", tag: 0, nullableVersions: "3+" },
      "all or none",
    ],
    ["a null default in some versions", { type: "string", nullableVersions: "1+", default: "null" }, "default is null"],
    ["a flexible override of an int", { type: "int32", flexibleVersions: "none" }, "only a string or bytes"],
    ["a default out of range", { type: "int8", default: "128" }, "default 128 does not fit int8"],
    ["a default of an array", { type: "[]int8", default: "1" }, 'default "1"'],
  ])("is refused for %s, with its path", (_what, field, reason) => {
    expect(() => checkField(field)).toThrow(reason);
    expect(() => checkField(field)).toThrow("GreetRequest.json: GreetRequest.Guests");
  });

  it.each([
    ["mandatory first and tagged later", { type: "int32", versions: "0+", taggedVersions: "2+", tag: 0 }],
    ["nullable in a later range", { type: "string", nullableVersions: "1+" }],
    ["a struct that may be null", { type: "Inner", nullableVersions: "1+", fields: [] }],
    ["never flexible", { type: "string", flexibleVersions: "none" }],
  ])("may be %s", (_what, field) => {
    expect(() => checkField(field)).not.toThrow();
  });
});

describe("a message", () => {
  it.each([
    ["valid versions without end", { validVersions: "0+" }, "validVersions have no end"],
    ["flexible versions with an end", { flexibleVersions: "2-3" }, "neither"],
    ["listeners of a response", { type: "response", listeners: ["broker"] }, "only a request"],
    [
      "a map key of its own",
      { fields: [{ name: "A", type: "int8", versions: "0+", mapKey: true }] },
      "cannot be a map key",
    ],
    [
      "one struct name for two structs",
      {
        fields: [
          { name: "A", type: "S", versions: "0+", fields: [{ name: "X", type: "int8", versions: "0+" }] },
          { name: "B", type: "S", versions: "0+", fields: [{ name: "X", type: "int16", versions: "0+" }] },
        ],
      },
      "GreetRequest.B: struct S has two definitions",
    ],
  ])("is refused for %s", (_what, changes, reason) => {
    expect(() => check(changes)).toThrow(reason);
  });
});

describe("the messages together", () => {
  const parsed = (changes: Record<string, unknown>): ReturnType<typeof parseMessage> =>
    parseMessage("x", JSON.stringify({ ...message, fields: [], ...changes }));
  const request = parsed({});
  const response = parsed({ type: "response", name: "GreetResponse" });

  it("pair every request with the response of the same key and versions", () => {
    expect(() => checkPairs([request, response])).not.toThrow();
    expect(() => checkPairs([request])).toThrow("GreetRequest.json: key 7 has no single response");
    expect(() => checkPairs([response])).toThrow("GreetResponse.json: key 7 has no single request");
    expect(() =>
      checkPairs([request, parsed({ type: "response", name: "GreetResponse", validVersions: "0-3" })]),
    ).toThrow("of versions 0-4");
    expect(() => checkPairs([request, response, parsed({ type: "response", name: "Other" })])).toThrow(
      "no single response",
    );
  });

  it("have different names", () => {
    expect(() => checkPairs([request, request])).toThrow("exists already");
  });

  it("advertise the highest version only if it is stable", () => {
    expect(stableVersions(request)).toEqual([0, 1, 2, 3, 4]);
    expect(stableVersions(parsed({ latestVersionUnstable: true }))).toEqual([0, 1, 2, 3]);
    expect(stableVersions(parsed({ latestVersionUnstable: true, validVersions: "0" }))).toEqual([]);
  });
});
