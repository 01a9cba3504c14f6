// How `make test` runs the tests: threads without isolation, because every test builds its own world from its arguments.
import { defineConfig } from "vitest/config";
import { reporters } from "./vitest.reporters.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "test/compat/**", "node_modules/**"],
    // Node 20 is supported here for as long as it is by this version of the AWS client.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    pool: "threads",
    isolate: false,
    expect: { requireAssertions: true },
    testTimeout: 60_000,
    ...reporters(),
  },
});
