// confluent-kafka for Python on librdkafka 2.16: the newer C client.
import { join } from "node:path";
import { runProgram } from "../program.ts";
import { pythonProgram } from "../tools.ts";
import { type Client, compressions, type PlainRecord } from "./client.ts";

/** The Python program beside this file. */
export const pythonScript: string = join(import.meta.dirname, "confluent_python.py");

async function call(verb: "produce" | "consume", request: unknown): Promise<string> {
  const input = `${JSON.stringify(request)}\n`;
  const { stdout } = await runProgram(pythonProgram, [pythonScript, verb], { input });
  return stdout;
}

/** The Python client, with a consumer group. */
export const confluentPythonClient: Client = {
  name: "confluent-kafka",
  codecs: compressions,
  produce: async (request) => {
    await call("produce", request);
  },
  consume: async (request) => JSON.parse(await call("consume", request)) as PlainRecord[],
};
