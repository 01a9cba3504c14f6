// Which stores a broker gets, and the mixtures that it refuses.
import { describe, expect, it } from "vitest";
import { SettingsError } from "../../src/main/settings-error.ts";
import { chooseStores, storeVariables } from "../../src/main/store-settings.ts";

const s3 = { KAFSCALE_S3_BUCKET: "bucket", KAFSCALE_S3_REGION: "us-east-1" };
const etcd = { KAFSCALE_ETCD_ENDPOINTS: "http://etcd:2379" };
const folder = { path: "/d", source: "--data-dir" };

function choose(environment: Readonly<Record<string, string>>, more: { folder?: typeof folder; memory?: true } = {}) {
  return chooseStores({ isMemoryAsked: more.memory ?? false, folder: more.folder, environment });
}

describe("chooseStores", () => {
  it("keeps everything in memory when nothing is set, or when that is asked for", () => {
    const memory = { dataDir: undefined, s3: undefined, etcd: undefined };
    expect(choose({})).toEqual(memory);
    expect(choose({ KAFSCALE_S3_BUCKET: "half-set" }, { memory: true })).toEqual(memory);
  });

  it("takes a folder, a bucket with a folder, or a bucket with etcd", () => {
    expect(choose({}, { folder })).toMatchObject({ dataDir: "/d", s3: undefined, etcd: undefined });
    expect(choose(s3, { folder })).toMatchObject({
      dataDir: "/d",
      s3: { store: { bucket: "bucket" } },
      etcd: undefined,
    });
    expect(choose({ ...s3, ...etcd })).toMatchObject({
      dataDir: undefined,
      s3: { store: { bucket: "bucket" } },
      etcd: { endpoints: ["http://etcd:2379"] },
    });
  });

  it.each([
    [s3, {}, "KAFSCALE_S3_BUCKET is set and neither KAFSCALE_ETCD_ENDPOINTS nor --data-dir"],
    [etcd, {}, "KAFSCALE_ETCD_ENDPOINTS is set and KAFSCALE_S3_BUCKET is not"],
    [etcd, { folder }, "KAFSCALE_ETCD_ENDPOINTS is set and KAFSCALE_S3_BUCKET is not"],
    [{ ...s3, ...etcd }, { folder }, "--data-dir and KAFSCALE_ETCD_ENDPOINTS are both set"],
    [etcd, { memory: true }, "KAFSCALE_ETCD_ENDPOINTS and KAFSCALE_USE_MEMORY_S3 are both set"],
    [{}, { folder, memory: true }, "--data-dir and KAFSCALE_USE_MEMORY_S3 are both set"],
    [{ KAFSCALE_S3_BUCKET: "bucket" }, { folder }, "KAFSCALE_S3_REGION is not"],
  ] as const)("refuses %o with %o", (environment, more, text) => {
    expect(() => choose(environment, more)).toThrow(SettingsError);
    expect(() => choose(environment, more)).toThrow(text);
  });

  it("names all variables of the bucket and of etcd", () => {
    expect(storeVariables).toEqual(expect.arrayContaining(["KAFSCALE_S3_BUCKET", "KAFSCALE_ETCD_ENDPOINTS"]));
  });
});
