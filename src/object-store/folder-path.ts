// Where in a folder an object lies. Injective and safe: a folder's name ends in `+`, a file's never does, and no key
// holds a `+`; so `a` and `a/b` do not collide, nothing of ours collides with a key, and no part is ever `..`.
// On a file system that takes upper and lower case for the same, `^` toggles the case and names are written in lower.

/** How names are written: as they are, or so that case does not matter. */
export type NameStyle = "plain" | "folded";

/** The path of an object relative to the store's folder. */
export function pathOf(key: string, style: NameStyle): string {
  const parts = key.split("/").map((part) => encodeName(part, style));
  return parts.join("+/");
}

/** The path of the folder that holds the objects below `parts`, relative to the store's folder; empty for the root. */
export function folderPathOf(parts: readonly string[], style: NameStyle): string {
  return parts.map((part) => `${encodeName(part, style)}+`).join("/");
}

/** What a name in a folder stands for, or nothing when it is none of an object's. */
export function parseName(
  name: string,
  style: NameStyle,
): { readonly part: string; readonly isFolder: boolean } | undefined {
  const isFolder = name.endsWith("+");
  const written = isFolder ? name.slice(0, -1) : name;
  if (written === "" || !/^[A-Za-z0-9._~^-]+$/.test(written)) return undefined;
  const part = style === "plain" ? written : unfolded(written);
  return encodeName(part, style) === written ? { part, isFolder } : undefined;
}

function encodeName(part: string, style: NameStyle): string {
  if (style === "plain") return part;
  return part.replace(/[A-Z]+/g, (upper) => `^${upper.toLowerCase()}^`).replace(/\^$/, "");
}

function unfolded(written: string): string {
  return written
    .split("^")
    .map((piece, index) => (index % 2 === 1 ? piece.toUpperCase() : piece))
    .join("");
}
