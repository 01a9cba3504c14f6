// `make schemas`: takes the message schemas out of the published jars, reduces them to facts, merges the two releases
// and writes schemas/. A second run changes nothing. Needs Maven, a JDK and the registry, or the jars of an earlier run.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatMessage } from "../format.ts";
import type { MessageSpec } from "../message-spec.ts";
import { parseMessage } from "../parse.ts";
import { isEmpty } from "../versions.ts";
import { writeChanged } from "../write-changed.ts";
import { formatErrorTable, readErrorTable } from "./error-table.ts";
import { fetchJar, messageTexts, sha256Of } from "./jars.ts";
import { mergeMessages, stableOnly } from "./merge.ts";
import { type Artifact, COORDINATORS, LOGGING, NEW_CLIENTS, OLD_CLIENTS } from "./releases.ts";
import { selectMessages } from "./selection.ts";

const root = join(import.meta.dirname, "../..");
const jarFolder = join(root, ".tools/schemas");

function readMessages(artifact: Artifact): MessageSpec[] {
  const texts = messageTexts(fetchJar(artifact, jarFolder));
  if (texts.size === 0) throw new Error(`${artifact.name} ${artifact.release} holds no schemas`);
  return [...texts].map(([file, text]) => parseMessage(`${artifact.name}-${artifact.release}/${file}`, text));
}

/** Requests and responses are the same message if key and kind are; their names have changed before. */
function identity(message: MessageSpec): string {
  return message.apiKey === undefined ? message.name : `${message.kind} ${message.apiKey}`;
}

function unionOfReleases(): MessageSpec[] {
  const older = new Map(stableOnly(readMessages(OLD_CLIENTS)).map((message) => [identity(message), message]));
  const newer = selectMessages(readMessages(NEW_CLIENTS)).filter((message) => !isEmpty(message.validVersions));
  return newer.map((message) => {
    const before = older.get(identity(message));
    return before === undefined ? message : mergeMessages(before, message);
  });
}

function sources(): string {
  const rows = [OLD_CLIENTS, NEW_CLIENTS, ...COORDINATORS].map((artifact) => ({
    artifact: `${artifact.group}:${artifact.name}`,
    release: artifact.release,
    sha256: sha256Of(fetchJar(artifact, jarFolder)),
  }));
  return `${JSON.stringify(rows, null, 2)}\n`;
}

const messages = [...unionOfReleases(), ...COORDINATORS.flatMap(readMessages)];
const files = new Map(messages.map((message) => [`${message.name}.json`, formatMessage(message)]));
files.set(
  "errors.json",
  formatErrorTable(readErrorTable([NEW_CLIENTS, LOGGING].map((jar) => fetchJar(jar, jarFolder)))),
);
files.set("SOURCES.json", sources());

const folder = join(root, "schemas");
const changed = writeChanged(folder, files);
const stale = readdirSync(folder).filter((name) => name.endsWith(".json") && !files.has(name));
for (const name of stale) rmSync(join(folder, name));
console.log(`schemas: ${messages.length} messages, ${changed.length} files written, ${stale.length} removed`);
