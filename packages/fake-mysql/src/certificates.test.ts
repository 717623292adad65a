import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificates, type Certificates } from "./certificates.ts";

const directory = mkdtempSync(join(tmpdir(), "certificates-"));
let certificates: Certificates;
beforeAll(async () => {
  certificates = await createCertificates(directory);
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function read(file: string): X509Certificate {
  return new X509Certificate(readFileSync(file));
}

test("the authority has signed each server's certificate, and the other authority none", () => {
  const { authorityFile, otherAuthorityFile, rightName, wrongName, addressOnly, nameOnly } = certificates;
  const [authority, other] = [read(authorityFile), read(otherAuthorityFile)];
  expect([authority.ca, authority.verify(authority.publicKey)]).toEqual([true, true]);
  for (const { certificateFile } of [rightName, wrongName, addressOnly, nameOnly]) {
    const certificate = read(certificateFile);
    expect([authority, other].map(({ publicKey }) => certificate.verify(publicKey))).toEqual([true, false]);
    expect([certificate.checkIssued(authority), certificate.ca]).toEqual([true, false]);
  }
});

test("each is for its names and addresses only", async () => {
  const { rightName, wrongName, addressOnly, nameOnly, signed } = certificates;
  const all = [
    rightName,
    await signed(["db.example.com", "localhost"], ["127.0.0.1"]),
    wrongName,
    addressOnly,
    nameOnly,
  ];
  const names = ["localhost", "db.example.com", "elsewhere.invalid"];
  const isFor = all.map(({ certificateFile }) => {
    const certificate = read(certificateFile);
    const hosts = names.filter((name) => certificate.checkHost(name) !== undefined);
    return [...hosts, ...(certificate.checkIP("127.0.0.1") === undefined ? [] : ["127.0.0.1"])].join(" ");
  });
  const both = "localhost db.example.com 127.0.0.1";
  expect(isFor).toEqual(["localhost 127.0.0.1", both, "elsewhere.invalid", "127.0.0.1", "localhost"]);
});

test("they are valid for two days, and nobody else may read a key", () => {
  const { validFrom, validTo } = read(certificates.rightName.certificateFile);
  expect(Date.parse(validFrom)).toBeLessThan(Date.now());
  expect((Date.parse(validTo) - Date.now()) / 86_400_000).toBeCloseTo(2, 1);
  expect(statSync(certificates.rightName.keyFile).mode & 0o077).toBe(0);
});
