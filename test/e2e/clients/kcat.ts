// kcat on librdkafka 2.0: the old C client that many tools stand on.
import { runProgram } from "../program.ts";
import { toolCommand } from "../tools.ts";
import { type Client, type ConsumeCall, compressions, type PlainRecord, type ProduceCall } from "./client.ts";

/** Headers are options of the program, so records with the same headers are written by one run of it. */
async function produce(call: ProduceCall): Promise<void> {
  const runs = new Map<string, PlainRecord[]>();
  for (const record of call.records) {
    const headers = JSON.stringify(record.headers);
    runs.set(headers, [...(runs.get(headers) ?? []), record]);
  }
  for (const records of runs.values()) await produceRun(call, records);
}

async function produceRun(call: ProduceCall, records: readonly PlainRecord[]): Promise<void> {
  const args = ["-P", "-b", call.bootstrap, "-t", call.topic, "-K", "\t", "-Z", "-z", call.compression];
  args.push("-X", "message.max.bytes=1048588", "-X", `enable.idempotence=${call.isIdempotent}`);
  for (const [name, text] of records[0]?.headers ?? []) args.push("-H", `${name}=${text}`);
  const input = records.map(({ key, value }) => `${key ?? ""}\t${value ?? ""}\n`).join("");
  await runProgram(toolCommand("kcat"), args, { input });
}

/** What `kcat -J` prints of a message. */
interface KcatMessage {
  readonly key: string | null;
  readonly payload: string | null;
  readonly headers?: readonly string[];
}

async function consume(call: ConsumeCall): Promise<readonly PlainRecord[]> {
  const args = ["-b", call.bootstrap, "-G", call.group, "-c", String(call.count), "-J", "-q"];
  args.push("-X", "auto.offset.reset=earliest", "-X", "check.crcs=true", call.topic);
  const { stdout } = await runProgram(toolCommand("kcat"), args);
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const message = JSON.parse(line) as KcatMessage;
      return { key: message.key, value: message.payload, headers: pairsOf(message.headers ?? []) };
    });
}

function pairsOf(flat: readonly string[]): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) pairs.push([flat[index] ?? "", flat[index + 1] ?? ""]);
  return pairs;
}

/** kcat, with a consumer group. */
export const kcatClient: Client = { name: "kcat", codecs: compressions, produce, consume };
