import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { formatMessage } from "../../codegen/format.ts";
import { parseErrors, planSchemas, printPlans } from "../../codegen/generate.ts";
import { INT64_OVERRIDES } from "../../codegen/int64-overrides.ts";
import { parseMessage } from "../../codegen/parse.ts";
import { type CodecPlan, kebabCase } from "../../codegen/plan.ts";
import { repositoryErrors, repositorySchemas } from "./repository-schemas.ts";

let plans: CodecPlan[];
beforeAll(() => {
  plans = planSchemas(repositorySchemas());
});

function planOf(name: string): CodecPlan {
  const plan = plans.find((candidate) => candidate.message.name === name);
  if (plan === undefined) throw new Error(`no plan of ${name}`);
  return plan;
}

describe("the repository", () => {
  it("holds what its schemas give", () => {
    const files = printPlans(plans, parseErrors(repositoryErrors()));
    const stale = [...files].filter(([name, text]) => {
      return readFileSync(join(import.meta.dirname, "../../generated", name), "utf8") !== text;
    });
    expect(stale.map(([name]) => name)).toEqual([]);
  });

  it("has schemas in their normal form", () => {
    for (const [file, text] of repositorySchemas()) expect(formatMessage(parseMessage(file, text)), file).toBe(text);
  });

  it("overrides no int64 that does not exist", () => {
    const places = plans.flatMap((plan) =>
      plan.structs.flatMap((struct) => struct.properties.map((property) => property.field)),
    );
    expect([...INT64_OVERRIDES.keys()].filter((place) => !places.includes(place))).toEqual([]);
  });
});

describe("layouts", () => {
  it("are shared by the versions that have the same bytes", () => {
    expect(planOf("ProduceRequest").layoutByVersion).toEqual([
      "V0",
      "V0",
      "V0",
      "V3",
      "V3",
      "V3",
      "V3",
      "V3",
      "V3",
      "V9",
      "V9",
      "V9",
      "V9",
      "V13",
    ]);
  });

  it("of versions below the lowest are missing", () => {
    expect(planOf("ShareGroupHeartbeatRequest").layoutByVersion).toEqual([undefined, "V1"]);
  });

  it("know the least bytes of an element, tag section included", () => {
    const [layout] = planOf("FetchRequest").structs.find((struct) => struct.name === "FetchTopic")?.layouts ?? [];
    expect(layout?.fields.find((field) => field.property.property === "partitions")?.elementBytesMin).toBe(16);
    const v9 = planOf("ProduceRequest")
      .structs.find((struct) => struct.name === "ProduceRequest")
      ?.layouts.find((each) => each.suffix === "V9");
    expect(v9?.fields.find((field) => field.property.property === "topicData")?.elementBytesMin).toBe(3);
  });
});

it("an int64 default that a number would round is refused", () => {
  const text =
    '{ "type": "data", "name": "D", "validVersions": "0", "flexibleVersions": "none", "fields": [{ "name": "A", "type": "int64", "versions": "0+", "default": "0x7fffffffffffffff" }] }';
  expect(() => planSchemas(new Map([["D.json", text]]))).toThrow("D.A: default 9223372036854775807 is no exact number");
});

it("file names follow from message names", () => {
  expect(["ProduceRequest", "DescribeAclsResponse", "EndTxnMarker", "ISRThing"].map(kebabCase)).toEqual([
    "produce-request",
    "describe-acls-response",
    "end-txn-marker",
    "isr-thing",
  ]);
});
