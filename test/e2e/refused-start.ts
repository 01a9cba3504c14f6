// A start that should not succeed, and the line with which it ends.
import { BrokerProcess } from "./broker-process.ts";

/** What a start with these variables ends with: `stderr:` and its lines; "the broker started" when it does not end. */
export async function refusalOf(env: Readonly<Record<string, string>>): Promise<string> {
  const failure = await BrokerProcess.start({ env }).then(
    async (broker) => {
      await broker.stop();
      return "the broker started";
    },
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  return failure.slice(Math.max(0, failure.indexOf("stderr:")));
}
