import { describe, expect, it } from "vitest";
import { layoutKey, layoutOf } from "../../codegen/layout.ts";
import type { MessageSpec } from "../../codegen/message-spec.ts";
import { parseMessage } from "../../codegen/parse.ts";
import { mergeMessages, stableOnly } from "../../codegen/schemas/merge.ts";
import { formatVersions, listVersions } from "../../codegen/versions.ts";

function message(
  validVersions: string,
  fields: readonly unknown[],
  changes: Record<string, unknown> = {},
): MessageSpec {
  const head = { apiKey: 2, type: "request", name: "AskRequest", validVersions, flexibleVersions: "4+" };
  return parseMessage("AskRequest.json", JSON.stringify({ ...head, fields, ...changes }));
}

const older = message("0-4", [
  { name: "Who", type: "int32", versions: "0+" },
  {
    name: "Parts",
    type: "[]Part",
    versions: "0+",
    fields: [
      { name: "At", type: "int64", versions: "0+" },
      { name: "MaxCount", type: "int32", versions: "0", default: "1" },
      { name: "Note", type: "string", versions: "2+", nullableVersions: "3+" },
    ],
  },
]);
const newer = message("2-6", [
  { name: "Who", type: "int32", versions: "0+" },
  {
    name: "Parts",
    type: "[]Part",
    versions: "0+",
    fields: [
      { name: "At", type: "int64", versions: "2+" },
      { name: "Note", type: "string", versions: "2+", nullableVersions: "3+", ignorable: true },
      { name: "More", type: "bool", versions: "5+", taggedVersions: "5+", tag: 0 },
    ],
  },
]);

function keys(spec: MessageSpec): string[] {
  return listVersions(spec.validVersions).map((version) => layoutKey(layoutOf(spec, version)));
}

describe("the union of two releases", () => {
  const merged = mergeMessages(older, newer);

  it("has every version of both, each with the layout it had", () => {
    expect(formatVersions(merged.validVersions)).toBe("0-6");
    expect(keys(merged).slice(0, 5)).toEqual(keys(older));
    expect(keys(merged).slice(2)).toEqual(keys(newer));
  });

  it("puts a field that only the older has behind its predecessor there, in its old versions", () => {
    const [, parts] = merged.fields;
    const inner = parts?.type.kind === "array" && parts.type.element.kind === "struct" ? parts.type.element.fields : [];
    expect(inner.map((field) => [field.name, formatVersions(field.versions)])).toEqual([
      ["At", "0+"],
      ["MaxCount", "0"],
      ["Note", "2+"],
      ["More", "5+"],
    ]);
    expect(inner[2]?.ignorable).toBe(true);
  });

  it("is refused if it would change any version of either", () => {
    const changed = message("2-6", [{ name: "Who", type: "int32", versions: "0+" }]);
    expect(() => mergeMessages(older, changed)).toThrow(
      "AskRequest version 2: the union differs from the older release",
    );
    const retyped = message("2-6", [{ name: "Who", type: "int64", versions: "0+" }]);
    expect(() => mergeMessages(older, retyped)).toThrow("AskRequest.Who: has another type");
    const gap = message("2-6", [{ name: "Who", type: "int32", versions: "3+" }]);
    expect(() => mergeMessages(older, gap)).toThrow("leave a gap");
  });

  it("compares a message that was renamed with its fields by its bytes", () => {
    const renamed = message("0-5", [{ name: "Whom", type: "int32", versions: "0+" }], { name: "NewAskRequest" });
    const before = message("0-4", [{ name: "Who", type: "int32", versions: "0+" }]);
    expect(mergeMessages(before, renamed).name).toBe("NewAskRequest");
    expect(() => mergeMessages(before, { ...renamed, name: "AskRequest" })).toThrow("differs from the older release");
  });
});

describe("unstable versions of the older release", () => {
  it("are left out of request and response, and a message without others with them", () => {
    const request = message("0-4", [], { latestVersionUnstable: true });
    const response = message("0-4", [], { type: "response", name: "AskResponse" });
    const early = message("0", [], { latestVersionUnstable: true, apiKey: 3, name: "EarlyRequest" });
    const header = message("0-1", [], { type: "header", name: "RequestHeader", apiKey: undefined });
    const stable = stableOnly([request, response, early, header]);
    expect(stable.map((spec) => `${spec.name} ${formatVersions(spec.validVersions)}`)).toEqual([
      "AskRequest 0-3",
      "AskResponse 0-3",
      "RequestHeader 0-1",
    ]);
  });
});
