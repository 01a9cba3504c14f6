// Every generated codec against Kafka's own classes: random messages of every message and version in both directions,
// byte for byte and field for field, and damaged bytes, which both accept or both refuse. The newest release judges the
// versions it has, the 3.9 line those that 4.0 removed. RUNS messages per version; SEED replays a run.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MessageSpec } from "../../codegen/message-spec.ts";
import { parseMessage } from "../../codegen/parse.ts";
import { type MessageCodec, messageCodecs } from "../../generated/testing/messages.ts";
import { Reader } from "../../src/wire/reader.ts";
import { decodeFromBytes, encodeToBytes } from "../generated/codec-runs.ts";
import { comparable, exactJson, FieldCoverage, toKafkaJson, withoutUnknownTags } from "./differential-json.ts";
import { classPaths, hasOracleJars, MessageOracle } from "./java/message-oracle.ts";

const runs = Number(process.env["RUNS"] ?? 20);
const seed = Number(process.env["SEED"] ?? 20_261_121);
/** Batches of `runs` messages a version gets before a field that took no value counts as uncovered. */
const ROUNDS_MAX = 12;

/** Our own limits, which Kafka's classes do not have: a refusal for one of these reasons is no difference. */
const OWN_LIMITS = [/outside the safe range of a number/, /unknown tags or \d+ bytes of them/];

const schemaFolder = join(import.meta.dirname, "../../schemas");
const specs = new Map<string, MessageSpec>(
  readdirSync(schemaFolder)
    .filter((name) => name.endsWith(".json") && name !== "errors.json" && name !== "SOURCES.json")
    .map((name) => [name.slice(0, -5), parseMessage(name, readFileSync(join(schemaFolder, name), "utf8"))]),
);

function specOf(codec: MessageCodec): MessageSpec {
  const spec = specs.get(codec.name);
  if (spec === undefined) throw new Error(`no schema of ${codec.name}`);
  return spec;
}

describe.skipIf(!hasOracleJars() && process.env["CI"] !== "true")(
  "the generated codecs, judged by Kafka's classes",
  () => {
    let newest: MessageOracle;
    let oldest: MessageOracle;
    const coverage = new FieldCoverage();
    const totals = { messages: 0, mutated: 0, refused: 0, ownLimits: 0 };

    beforeAll(() => {
      newest = new MessageOracle(classPaths.newest);
      oldest = new MessageOracle(classPaths.oldest);
    });

    afterAll(async () => {
      await Promise.all([newest.stop(), oldest.stop()]);
      console.log(
        `differential: ${JSON.stringify(totals)}, ${coverage.size} field values, ${coverage.missing().length} uncovered, seed ${seed}`,
      );
    });

    /** The release that judges a version. */
    async function judgeOf(codec: MessageCodec, version: number): Promise<MessageOracle> {
      for (const oracle of [newest, oldest]) {
        const range = await oracle.versions(codec.name);
        if (range !== undefined && version >= range.lowest && version <= range.highest) return oracle;
      }
      throw new Error(`${codec.name} v${version} is in neither release`);
    }

    async function checkMessage(
      codec: MessageCodec,
      message: unknown,
      version: number,
      judge: MessageOracle,
    ): Promise<void> {
      const place = `${codec.name} v${version}`;
      const bytes = encodeToBytes(codec, message, version);
      const json = exactJson(toKafkaJson(specOf(codec), message, version, coverage));
      const plain = encodeToBytes(codec, withoutUnknownTags(message), version);
      const [decoded, encoded] = await Promise.all([
        judge.ask("D", codec.name, version, bytes),
        judge.ask("E", codec.name, version, Buffer.from(json)),
      ]);
      if (!decoded.accepted || !encoded.accepted) {
        const reasons = [decoded, encoded].map((verdict) => (verdict.accepted ? "accepted" : verdict.reason));
        throw new Error(`${place}: decode ${reasons[0]}, encode ${reasons[1]}: ${json}`);
      }
      const jsonBytes = decoded.bytes.readInt32BE(4);
      expect(decoded.bytes.readInt32BE(0), `${place}: bytes left over`).toBe(0);
      expect(comparable(decoded.bytes.toString("utf8", 8, 8 + jsonBytes)), place).toEqual(comparable(json));
      expect(decoded.bytes.toString("hex", 8 + jsonBytes), `${place}: our bytes, read and written by Kafka`).toBe(
        Buffer.from(bytes).toString("hex"),
      );
      expect(encoded.bytes.toString("hex"), `${place}: ${json} written by Kafka`).toBe(
        Buffer.from(plain).toString("hex"),
      );
      expect(decodeFromBytes(codec, encoded.bytes, version)).toEqual(withoutUnknownTags(message));
      totals.messages += 1;
    }

    async function checkMutation(
      codec: MessageCodec,
      bytes: Uint8Array,
      version: number,
      judge: MessageOracle,
    ): Promise<void> {
      const verdict = await judge.ask("D", codec.name, version, bytes);
      const reader = new Reader(bytes);
      let refusal: string | undefined;
      try {
        codec.decode(reader, version);
      } catch (error) {
        refusal = String(error);
      }
      totals.mutated += 1;
      if (refusal !== undefined) totals.refused += 1;
      if (refusal !== undefined && OWN_LIMITS.some((limit) => limit.test(refusal ?? ""))) {
        totals.ownLimits += 1;
        return;
      }
      const place = `${codec.name} v${version} ${Buffer.from(bytes).toString("hex")}`;
      expect(
        refusal === undefined,
        `${place}: ours ${refusal ?? "accepts"}, Kafka's ${verdict.accepted ? "accepts" : verdict.reason}`,
      ).toBe(verdict.accepted);
      if (verdict.accepted) expect(reader.remaining, `${place}: bytes left over`).toBe(verdict.bytes.readInt32BE(0));
    }

    async function inBatches<T>(items: readonly T[], check: (item: T) => Promise<void>): Promise<void> {
      for (let at = 0; at < items.length; at += 64) await Promise.all(items.slice(at, at + 64).map(check));
    }

    describe.each(messageCodecs.map((codec) => [codec.name, codec] as const))("%s", (_name, codec) => {
      it("has the bytes and the fields of Kafka's class in every version", async () => {
        for (const version of codec.versions) {
          const judge = await judgeOf(codec, version);
          coverage.expect(specOf(codec), version);
          const prefix = `${codec.name} v${version} `;
          for (let round = 0; round < ROUNDS_MAX; round += 1) {
            const messages = fc.sample(codec.arbitrary(version), { numRuns: runs, seed: seed + round });
            await inBatches(messages, (message) => checkMessage(codec, message, version, judge));
            if (!coverage.missing().some((path) => path.startsWith(prefix))) break;
          }
        }
        expect(coverage.missing().filter((path) => path.startsWith(`${codec.name} v`))).toEqual([]);
      });

      it("accepts and refuses the same damaged bytes as Kafka's class", async () => {
        expect.hasAssertions();
        for (const version of codec.versions) {
          const judge = await judgeOf(codec, version);
          const damaged = fc.sample(fc.tuple(codec.arbitrary(version), damageArbitrary), { numRuns: runs, seed });
          await inBatches(damaged, ([message, damage]) =>
            checkMutation(codec, damage(encodeToBytes(codec, message, version)), version, judge),
          );
          expect(totals.mutated).toBeGreaterThan(0);
        }
      });
    });
  },
);

/** Ways to damage an encoding: cut it, change bytes, put bytes in, take bytes out. */
const damageArbitrary: fc.Arbitrary<(bytes: Uint8Array) => Uint8Array> = fc
  .tuple(
    fc.constantFrom("cut", "change", "insert", "remove", "bomb"),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.constantFrom([0], [1], [2], [0x7f], [0x80], [0xff], [0xff, 0xff, 0xff, 0xff, 0x0f], [0, 0, 0, 1]),
  )
  .map(([kind, where, put]) => (bytes: Uint8Array): Uint8Array => {
    const at = Math.floor(where * bytes.length);
    const before = bytes.slice(0, at);
    const behind = kind === "insert" ? at : Math.min(bytes.length, at + (kind === "remove" ? 1 : put.length));
    if (kind === "cut") return before;
    const middle = kind === "remove" ? [] : kind === "bomb" ? [0x7f, 0xff, 0xff, 0xff] : put;
    return Uint8Array.from([...before, ...middle, ...bytes.slice(behind)]);
  });
