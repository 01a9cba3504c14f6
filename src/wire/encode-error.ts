// What an encoder throws when it is given a value that the format, or this version of it, cannot carry.
// On the broker's side this is a fault of the code that filled the message, never of the peer.

/** A value that cannot be written: too long, out of range, null or set where the version has no place for it. */
export class EncodeError extends Error {
  override readonly name = "EncodeError";
}

/** The error of a field that is set although this version has no place for it and the schema does not let it be dropped. */
export function notInVersion(field: string, versions: string): EncodeError {
  return new EncodeError(`${field} is set, but version ${versions} has no such field`);
}

/** The error of a null in a field that is not nullable in this version. */
export function notNullable(field: string, versions: string): EncodeError {
  return new EncodeError(`${field} is null, but is not nullable in version ${versions}`);
}
