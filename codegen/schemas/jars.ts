// Gets published jars through Maven and takes files out of them. A jar that is there already is not fetched again;
// its sha256 goes into schemas/SOURCES.json, so a jar that changed shows in the diff.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { strFromU8, unzipSync } from "fflate";
import type { Artifact } from "./releases.ts";

const MESSAGE_FOLDER = "common/message/";

/** Path of the artifact's jar below `folder`, fetched with `mvn` if it is missing. */
export function fetchJar(artifact: Artifact, folder: string): string {
  const path = join(folder, `${artifact.name}-${artifact.release}.jar`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const coordinates = `${artifact.group}:${artifact.name}:${artifact.release}`;
  const args = ["-B", "-q", "dependency:copy", `-Dartifact=${coordinates}`, `-DoutputDirectory=${folder}`];
  execFileSync("mvn", args, { stdio: ["ignore", "inherit", "inherit"], timeout: 300_000 });
  return path;
}

/** The message schemas in a jar: text by file name, in the order of the names. */
export function messageTexts(jar: string): Map<string, string> {
  const files = unzipSync(readFileSync(jar), {
    filter: (file) => file.name.startsWith(MESSAGE_FOLDER) && file.name.endsWith(".json"),
  });
  const names = Object.keys(files).toSorted();
  return new Map(names.map((name) => [name.slice(MESSAGE_FOLDER.length), strFromU8(files[name] ?? new Uint8Array(0))]));
}

/** Hex SHA-256 of a file. */
export function sha256Of(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
