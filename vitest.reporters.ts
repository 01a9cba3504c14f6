// What a test run prints, and the count that `make ci` reads when it names a file in KAFSCALE_TEST_REPORT.

/** The reporters of both configurations. */
export function reporters() {
  const file = process.env["KAFSCALE_TEST_REPORT"];
  return file === undefined
    ? { reporters: ["default"] }
    : { reporters: ["default", "json"], outputFile: { json: file } };
}
