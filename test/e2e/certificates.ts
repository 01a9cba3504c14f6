// Certificates for servers and clients on 127.0.0.1, made by the system's openssl: an authority, and what it signs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./program.ts";

/** PEM files of one certificate. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** An authority of its own in a folder, valid for a day. */
export class CertificateAuthority {
  readonly folder: string;
  readonly certificate: string;
  readonly #key: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.certificate = join(folder, "ca.pem");
    this.#key = join(folder, "ca.key");
  }

  /** Makes a new one; its files lie in `folder`. */
  static async create(folder: string): Promise<CertificateAuthority> {
    const authority = new CertificateAuthority(folder);
    const files = ["-keyout", authority.#key, "-out", authority.certificate];
    await openssl("req", "-x509", ...newKey, ...files, "-days", "1", "-subj", "/CN=kafscale test authority");
    return authority;
  }

  /** Signs a new certificate for 127.0.0.1, as server and as client. */
  async sign(name: string): Promise<CertificateFiles> {
    const at = (suffix: string) => join(this.folder, `${name}.${suffix}`);
    await openssl("req", ...newKey, "-keyout", at("key"), "-out", at("csr"), "-subj", `/CN=${name}`);
    writeFileSync(at("ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
    const by = ["-CA", this.certificate, "-CAkey", this.#key, "-CAcreateserial"];
    await openssl("x509", "-req", "-in", at("csr"), ...by, "-out", at("pem"), "-days", "1", "-extfile", at("ext"));
    return { certificate: at("pem"), key: at("key") };
  }
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function openssl(...args: readonly string[]): Promise<void> {
  await runProgram("openssl", args);
}
