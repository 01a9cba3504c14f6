// Imports go down the floors only, to the rooms that are named, and vendor packages are imported by the files that are.
import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { mayImportTesting, outside, type Room, rooms } from "./floors.ts";
import { importsOf, type SourceFile, sourceFiles } from "./source-files.ts";

function roomOf(path: string): string | undefined {
  return Object.keys(rooms).find((name) => path === name || path.startsWith(`${name}/`));
}

function isBelow(path: string, parts: readonly string[]): boolean {
  return parts.some(
    (part) => path === part || path.startsWith(`${part}/`) || (part === "vitest" && path.startsWith(part)),
  );
}

function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? specifier);
}

function judgeVendor(file: SourceFile, room: Room, roomName: string, specifier: string): string | undefined {
  const name = file.path === roomName ? posix.basename(file.path) : file.path.slice(roomName.length + 1);
  const allowed = [...(room.vendors["*"] ?? []), ...(room.vendors[name] ?? [])];
  if (allowed.includes(packageOf(specifier))) return undefined;
  return `${file.path} imports ${specifier}, which no row of test/tidy/floors.ts gives it: ${room.because}`;
}

function judgeOwn(file: SourceFile, room: Room, roomName: string, target: string): string | undefined {
  const targetRoom = roomOf(target);
  if (targetRoom === roomName || target === "src/invariant.ts") return undefined;
  const isNamed = room.may.some((name) => target === name || target.startsWith(`${name}/`));
  const floor = targetRoom === undefined ? undefined : rooms[targetRoom]?.floor;
  if (isNamed && floor !== undefined && floor <= room.floor) return undefined;
  return `${file.path} (floor ${room.floor}) imports ${target} (floor ${floor ?? "none"}): ${room.because}`;
}

function judge(file: SourceFile, specifier: string): string | undefined {
  const isOwn = specifier.startsWith(".");
  const target = isOwn ? posix.join(posix.dirname(file.path), specifier) : "";
  if (target.startsWith("generated/testing/") && !isBelow(file.path, mayImportTesting)) {
    return `${file.path} imports ${target}: the clients' side of the protocol is for tests and benchmarks alone`;
  }
  const roomName = roomOf(file.path);
  const room = roomName === undefined ? undefined : rooms[roomName];
  if (room === undefined || roomName === undefined) {
    return isBelow(file.path, outside) ? undefined : `${file.path} is in no room: add its room to test/tidy/floors.ts`;
  }
  return isOwn ? judgeOwn(file, room, roomName, target) : judgeVendor(file, room, roomName, specifier);
}

describe("floors", () => {
  it("lets no file import what its room may not", () => {
    const files = sourceFiles("src", "generated", "codegen", "test", "bench", "scripts");
    const breaches = files.flatMap((file) => importsOf(file).map((specifier) => judge(file, specifier)));
    expect(breaches.filter((breach) => breach !== undefined)).toEqual([]);
  });

  it("gives every room only rooms of lower floors, or of its own floor where a row says so", () => {
    const upward = Object.entries(rooms).flatMap(([name, room]) =>
      room.may
        .filter((target) => (rooms[roomOf(target) ?? ""]?.floor ?? 99) > room.floor)
        .map((target) => `${name} -> ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it("sends nothing of src to the places that are started by hand", () => {
    const files = sourceFiles("src", "generated/kafka", "generated/proto");
    const breaches = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => posix.join(posix.dirname(file.path), specifier))
        .filter((target) => isBelow(target, outside))
        .map((target) => `${file.path} imports ${target}`),
    );
    expect(breaches).toEqual([]);
  });
});
