// Mutated batches judged by this room and by Kafka's broker (KafkaValidates.java): prints every pair of answers that
// differ, with how often, and ends with 1 if one of them is not in `known`. Needs `make tools` and a JDK 17:
//   npx tsx test/records/golden/compare-with-kafka.ts [batches] [seed]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { KafkaError } from "../../../src/kafka-error.ts";
import { RecordsRefusedError, validateProducedBatch } from "../../../src/records/validate.ts";
import { mutate, pick } from "../../fuzz/mutate.ts";
import { recordTargets } from "../../fuzz/record-targets.ts";
import { SimRandom } from "../../sim/sim-random.ts";
import { openRules } from "../sample-batches.ts";

/** Where the two may differ, by the beginning of our message, and why. */
const known: readonly (readonly [RegExp, string])[] = [
  [/^accepted, compressed/, "a compressed body is not opened without need; readers refuse it"],
  [/outside the safe range|timestamp .* is out of the range/, "numbers beyond 2^53 are refused, not rounded"],
  [/producer id -\d+ is negative|has epoch -|a transactional batch has no producer id/, "nonsense about producers"],
  [/producers may not set the timestamp type/, "Kafka overlooks the bit when the record has a timestamp"],
  [/has offset delta/, "Kafka overlooks offset deltas where nothing is compressed"],
  [
    /is malformed.*Kafka (?:87|-1)$/s,
    "a malformed record ends the walk; Kafka may go on to the next, or fail with an unknown server error",
  ],
  [/is malformed.*compressed; Kafka 0$/s, "Kafka does not check that the parts of a compressed record fill it"],
  [/base offset of a produced batch.*Kafka -1$/s, "Kafka fails on an unknown codec first"],
  [/hold no whole record batch.*Kafka -1$/s, "a length near 2^31 overflows in Kafka"],
  [/no codec has number [567]/, "Kafka fails with an unknown server error"],
  [/the broker allows 1000000/, "a bound of this broker"],
  [/were not decompressed/, "damage and the bound on expansion; Kafka fails with an unknown server error"],
];

const count = Number(process.argv[2] ?? "20000");
const target = recordTargets.find(({ name }) => name === "produced-batch");
if (target?.repair === undefined) throw new Error("no target produced-batch");
const { repair } = target;
const random = new SimRandom(process.argv[3] ?? "1");
const seeds = target.seeds(random.split("seeds"));
const inputs = Array.from({ length: count }, (_, index) => {
  const mutated = mutate(random, pick(random, seeds), pick(random, seeds));
  return { isCompacted: index % 2 === 0, bytes: index % 8 === 0 ? mutated : repair(mutated) };
});

function ours(bytes: Uint8Array, isCompacted: boolean): { readonly answer: string; readonly said: string } {
  try {
    const batch = validateProducedBatch(bytes, { ...openRules, requiresKeys: isCompacted });
    const said = batch.compression === 0 ? "accepted" : "accepted, compressed";
    return { answer: `0,,${batch.maxTimestamp}`, said };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    const indexes = error instanceof RecordsRefusedError ? error.recordErrors.map(({ batchIndex }) => batchIndex) : [];
    return { answer: `${error.code},${indexes.join(" ")},`, said: error.message };
  }
}

const java = spawnSync(
  "java",
  [
    "-cp",
    fileURLToPath(new URL("../../../.tools/kafka/libs/*", import.meta.url)),
    fileURLToPath(new URL("KafkaValidates.java", import.meta.url)),
  ],
  {
    input: inputs
      .map(({ isCompacted, bytes }) => `${isCompacted ? 1 : 0} ${Buffer.from(bytes).toString("hex")}\n`)
      .join(""),
    maxBuffer: 2 ** 30,
    timeout: 600_000,
    encoding: "utf8",
  },
);
const theirs = java.stdout.split("\n");
if (theirs.length !== count + 1) throw new Error(`${theirs.length - 1} answers of ${count}: ${java.stderr}`);

const differences = new Map<string, { count: number; example: string }>();
let accepted = 0;
let unexplained = 0;
for (const [index, { bytes, isCompacted }] of inputs.entries()) {
  const { answer, said } = ours(bytes, isCompacted);
  if (answer.startsWith("0,")) accepted += 1;
  if (answer === theirs[index]) continue;
  const [ourCode, theirCode] = [answer.split(",")[0], theirs[index]?.split(",")[0]];
  const isCompressed = ((bytes[22] ?? 0) & 7) === 0 ? "" : " compressed";
  const reason = known.find(([pattern]) => pattern.test(`${said}${isCompressed}; Kafka ${theirCode}`))?.[1];
  if (reason === undefined) unexplained += 1;
  const pair =
    reason === undefined
      ? `UNEXPLAINED ours ${answer} (${said.replaceAll(/\d+/g, "N")}) Kafka ${theirs[index]}`
      : reason;
  const key = `${pair}: ours ${ourCode}, Kafka ${theirCode}`;
  const example = `${isCompacted ? 1 : 0} ${Buffer.from(bytes).toString("hex").slice(0, 400)}`;
  differences.set(key, { count: (differences.get(key)?.count ?? 0) + 1, example });
}
console.log(`${count} batches, ${accepted} accepted here, ${unexplained} unexplained differences`);
for (const [key, { count: times, example }] of differences) {
  console.log(`${String(times).padStart(7)}  ${key}${key.startsWith("UNEXPLAINED") ? `\n         ${example}` : ""}`);
}
process.exitCode = unexplained > 0 ? 1 : 0;
