// Keys that are read from where the settings say, as they are at that moment.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { credentialSource, openS3 } from "../../src/main/s3-adapter.ts";
import { readS3Settings, type S3StoreSettings } from "../../src/main/s3-settings.ts";

function settings(more: Readonly<Record<string, string>>): S3StoreSettings {
  const read = readS3Settings({ KAFSCALE_S3_BUCKET: "bucket", KAFSCALE_S3_REGION: "us-east-1", ...more });
  if (read === undefined) throw new Error("no settings");
  return read;
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "kafscale-keys-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe("the keys of a bucket", () => {
  it("from variables never change", async () => {
    const source = credentialSource(settings({ KAFSCALE_S3_ACCESS_KEY: "a", KAFSCALE_S3_SECRET_KEY: "s" }));
    expect(source.mayChange).toBe(false);
    expect(await source.load()).toEqual({ accessKeyId: "a", secretAccessKey: "s", sessionToken: undefined });
  });

  it("from a folder are read each time, without the line feed of a file that was written by hand", async () => {
    const keys = folder();
    const source = credentialSource(settings({ KAFSCALE_S3_CREDENTIALS_DIR: keys }));
    expect(source.mayChange).toBe(true);
    writeFileSync(join(keys, "AWS_ACCESS_KEY_ID"), "first\n");
    writeFileSync(join(keys, "AWS_SECRET_ACCESS_KEY"), "secret\n");
    expect(await source.load()).toEqual({ accessKeyId: "first", secretAccessKey: "secret", sessionToken: undefined });
    writeFileSync(join(keys, "AWS_ACCESS_KEY_ID"), "second");
    writeFileSync(join(keys, "AWS_SESSION_TOKEN"), "token");
    expect(await source.load()).toEqual({ accessKeyId: "second", secretAccessKey: "secret", sessionToken: "token" });
  });

  it("may have our own names in a folder, and a missing one is named with its folder", async () => {
    const keys = folder();
    const source = credentialSource(settings({ KAFSCALE_S3_CREDENTIALS_DIR: keys }));
    writeFileSync(join(keys, "KAFSCALE_S3_ACCESS_KEY"), "a");
    await expect(source.load()).rejects.toThrow(
      `${keys}, which KAFSCALE_S3_CREDENTIALS_DIR names, has no file AWS_SECRET`,
    );
    writeFileSync(join(keys, "KAFSCALE_S3_SECRET_KEY"), "s");
    expect(await source.load()).toMatchObject({ accessKeyId: "a", secretAccessKey: "s" });
  });

  it("are searched as AWS does where none are set", () => {
    expect(credentialSource(settings({})).mayChange).toBe(true);
  });
});

describe("openS3", () => {
  it("fails with the path of authorities that cannot be read", async () => {
    const missing = join(folder(), "ca.pem");
    const parts = { clock: new SystemClock(), log: silentLog };
    await expect(openS3(settings({ KAFSCALE_S3_CA_FILE: missing }), parts)).rejects.toThrow(missing);
  });
});
