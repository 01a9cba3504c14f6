// The worked example of docs/UPGRADING-KAFKA.md: a made-up release adds a field to one struct of LeaveGroupRequest in
// version 6. The generator must give new code for that, and leave every other layout of every message as it was.
import { beforeAll, describe, expect, it } from "vitest";
import { formatMessage } from "../../codegen/format.ts";
import { parseErrors, planSchemas, printPlans } from "../../codegen/generate.ts";
import { parseMessage } from "../../codegen/parse.ts";
import type { CodecPlan } from "../../codegen/plan.ts";
import { mergeMessages } from "../../codegen/schemas/merge.ts";
import { repositoryErrors, repositorySchemas } from "./repository-schemas.ts";

/** What the jar of the made-up release would hold: old versions gone, one version more. */
const REQUEST_OF_NEXT_RELEASE = `{
  "apiKey": 13,
  "type": "request",
  "listeners": ["broker"],
  "name": "LeaveGroupRequest",
  // Version 6 adds Forced.
  "validVersions": "3-6",
  "flexibleVersions": "4+",
  "fields": [
    { "name": "GroupId", "type": "string", "versions": "0+", "entityType": "groupId" },
    { "name": "Members", "type": "[]MemberIdentity", "versions": "3+", "fields": [
      { "name": "MemberId", "type": "string", "versions": "3+" },
      { "name": "GroupInstanceId", "type": "string", "versions": "3+", "nullableVersions": "3+", "default": "null" },
      { "name": "Reason", "type": "string", "versions": "5+", "nullableVersions": "5+", "default": "null", "ignorable": true },
      { "name": "Forced", "type": "bool", "versions": "6+", "default": "false" }
    ]}
  ]
}`;

/** `Struct V3: 3-5` for every layout of every struct of a plan. */
function layoutsOf(plan: CodecPlan): string[] {
  return plan.structs.flatMap((struct) =>
    struct.layouts.map((layout) => `${plan.message.name} ${struct.name} ${layout.suffix}: ${layout.versions}`),
  );
}

describe("a newer release with one more version of one message", () => {
  let before: CodecPlan[];
  let after: CodecPlan[];

  beforeAll(() => {
    const schemas = repositorySchemas();
    before = planSchemas(schemas);
    const older = parseMessage("old/LeaveGroupRequest.json", schemas.get("LeaveGroupRequest.json") ?? "");
    const newer = parseMessage("new/LeaveGroupRequest.json", REQUEST_OF_NEXT_RELEASE);
    schemas.set("LeaveGroupRequest.json", formatMessage(mergeMessages(older, newer)));
    // The response has the same fields in version 6 as in version 5.
    const response = schemas.get("LeaveGroupResponse.json") ?? "";
    schemas.set("LeaveGroupResponse.json", response.replace('"validVersions": "0-5"', '"validVersions": "0-6"'));
    after = planSchemas(schemas);
  });

  it("gives exactly the layouts of the changed structs, and moves no other", () => {
    const old = new Set(before.flatMap(layoutsOf));
    const added = after.flatMap(layoutsOf).filter((layout) => !old.has(layout));
    expect(added).toEqual([
      "LeaveGroupRequest MemberIdentity V6: 6",
      "LeaveGroupRequest LeaveGroupRequest V6: 6",
      "LeaveGroupResponse MemberResponse V4: 4-6",
      "LeaveGroupResponse LeaveGroupResponse V4: 4-6",
    ]);
    const now = new Set(after.flatMap(layoutsOf));
    expect([...old].filter((layout) => !now.has(layout))).toEqual([
      "LeaveGroupResponse MemberResponse V4: 4-5",
      "LeaveGroupResponse LeaveGroupResponse V4: 4-5",
    ]);
  });

  it("changes the files of that message and the tables, and no other file", () => {
    const errors = parseErrors(repositoryErrors());
    const old = printPlans(before, errors);
    const now = printPlans(after, errors);
    expect([...now.keys()]).toEqual([...old.keys()]);
    expect([...now.keys()].filter((name) => now.get(name) !== old.get(name)).toSorted()).toEqual([
      "kafka/api-table.ts",
      "kafka/leave-group-request.ts",
      "kafka/leave-group-response.ts",
      "testing/leave-group-request.ts",
      "testing/leave-group-response.ts",
      "testing/messages.ts",
    ]);
    expect(now.get("kafka/leave-group-request.ts")).toContain("const forced = reader.bool();");
    expect(now.get("kafka/leave-group-request.ts")).toContain("decodeMemberIdentityV6");
  });

  it("keeps the versions that the newer release removed", () => {
    const plan = after.find((candidate) => candidate.message.name === "LeaveGroupRequest");
    expect(plan?.layoutByVersion).toEqual(["V0", "V0", "V0", "V3", "V4", "V5", "V6"]);
  });

  it("is refused if it changes a version that clients already use", () => {
    const older = parseMessage("old.json", repositorySchemas().get("LeaveGroupRequest.json") ?? "");
    const changed = parseMessage("new.json", REQUEST_OF_NEXT_RELEASE.replace('"versions": "6+"', '"versions": "5+"'));
    expect(() => mergeMessages(older, changed)).toThrow(
      "LeaveGroupRequest version 5: the union differs from the older release",
    );
  });
});
