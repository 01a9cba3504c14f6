// What `kafscale recover` tells a person.
import { expect, it } from "vitest";
import { recover, recoveryText } from "../../src/main/recover.ts";
import { readServeSettings } from "../../src/main/settings-from-env.ts";

const found = {
  clusterId: "AAECAwQFBgcICQoLDA0ODw",
  object: { generation: 1, revision: 4_711 },
  metadata: { generation: 1, revision: 120 },
  isRestored: true,
  brokers: [],
  uncovered: { sessions: 2, flushes: 1_501, bytes: 15_010 },
  entry: { key: "cluster", value: new Uint8Array(), createRevision: 1, modRevision: 1 },
};

it("says what a restored store lacks, and the command that goes on with it", () => {
  const text = recoveryText(found);
  expect(text).toContain("has seen revision 4711");
  expect(text).toContain("1501 flushes (15010 bytes) of 2 sessions");
  expect(text).toContain("kafscale recover --accept-head-loss");
});

it("proposes nothing where bucket and metadata belong together", () => {
  const text = recoveryText({ ...found, isRestored: false, brokers: ["4 at b4:9092"] });
  expect(text).toContain("nothing to recover");
  expect(text).toContain("4 at b4:9092");
  expect(text).not.toContain("--accept-head-loss");
});

it("refuses to look at stores that nobody named", async () => {
  const settings = readServeSettings({}, {});
  await expect(recover(settings, { isAccepting: false })).rejects.toThrow("no stores are set");
});
