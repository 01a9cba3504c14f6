// Kafka's own console programs with their default flags, plus the properties that show keys, headers and nulls.
import { runProgram } from "../program.ts";
import { toolCommand } from "../tools.ts";
import { type Client, type ConsumeCall, compressions, type PlainRecord, type ProduceCall } from "./client.ts";

const nullText = "<null>";

async function produce(call: ProduceCall): Promise<void> {
  const args = ["--bootstrap-server", call.bootstrap, "--topic", call.topic];
  args.push("--compression-codec", call.compression);
  args.push("--command-property", `enable.idempotence=${call.isIdempotent}`);
  for (const property of ["parse.key=true", "parse.headers=true", `null.marker=${nullText}`]) {
    args.push("--reader-property", property);
  }
  const lines = call.records.map(({ key, value, headers }) => {
    const headerText = headers.length === 0 ? nullText : headers.map((header) => header.join(":")).join(",");
    return `${headerText}\t${key ?? nullText}\t${value ?? nullText}\n`;
  });
  const { stderr } = await runProgram(toolCommand("kafka-console-producer"), args, { input: lines.join("") });
  // The console producer reports a failed send on standard error and still ends with 0.
  if (/ERROR|Exception/.test(stderr)) throw new Error(`the console producer reported: ${stderr.slice(0, 2000)}`);
}

async function consume(call: ConsumeCall): Promise<readonly PlainRecord[]> {
  const args = ["--bootstrap-server", call.bootstrap, "--topic", call.topic, "--group", call.group];
  args.push("--from-beginning", "--max-messages", String(call.count), "--timeout-ms", "30000");
  for (const property of ["print.key=true", "print.headers=true", `null.literal=${nullText}`]) {
    args.push("--formatter-property", property);
  }
  const { stdout } = await runProgram(toolCommand("kafka-console-consumer"), args);
  return stdout.split("\n").slice(0, -1).map(parseLine);
}

function parseLine(line: string): PlainRecord {
  const [headerText = "", key = "", value = ""] = line.split("\t");
  const pairs = headerText === "NO_HEADERS" ? [] : headerText.split(",");
  return {
    key: key === nullText ? null : key,
    value: value === nullText ? null : value,
    headers: pairs.map((pair) => {
      const [name = "", text = ""] = pair.split(":");
      return [name, text] as const;
    }),
  };
}

/** kafka-console-producer and kafka-console-consumer. */
export const javaClient: Client = { name: "kafka-console", codecs: compressions, produce, consume };
