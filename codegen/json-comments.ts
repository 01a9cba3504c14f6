// Kafka's schemas are JSON with comments of both kinds. They are blanked here, outside of strings only, and line
// breaks stay, so that positions in the errors of JSON.parse hold.

// A string, or a comment. Strings come first, so a slash inside one never starts a comment.
const STRING_OR_COMMENT = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/** The same text with blanks where comments were. */
export function stripComments(text: string): string {
  return text.replace(STRING_OR_COMMENT, (found) => (found.startsWith('"') ? found : found.replace(/[^\n]/g, " ")));
}
