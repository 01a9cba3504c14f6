// The refusal of a setting, in a file of its own because each group of settings is read in its own.

/** A setting that the start refuses. The message is one line for the person who typed it. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}
