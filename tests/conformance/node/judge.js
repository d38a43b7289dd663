// Judge a receipt (c2sp.org/tlog-proof@v1) with npm's @sigstore/verify:
//   node judge.js NODE_MODULES VKEY_FILE RECEIPT…      prints "ok INDEX SIZE" or "bad MESSAGE" for each
const fs = require("fs");
const path = require("path");
const { createPublicKey } = require("crypto");

const [modules, vkeyFile, ...receipts] = process.argv.slice(2);
const inside = (file) => require(path.join(modules, "@sigstore", "verify", "dist", "tlog", file));
const { verifyCheckpoint } = inside("checkpoint.js");
const { verifyMerkleInclusion } = inside("merkle.js");

// vkey: name + "+" + 8 hex digits + "+" + base64(01 ‖ public key); the base64 may hold "+" too
const [name, keyId, ...encoded] = fs.readFileSync(vkeyFile, "utf8").trim().split("+");
const raw = Buffer.from(encoded.join("+"), "base64").subarray(1);
const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
const log = {
  logID: Buffer.from(keyId, "hex"),
  baseURL: `https://${name}`,
  publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }),
};

for (const file of receipts) {
  try {
    const text = fs.readFileSync(file, "utf8");
    const split = text.indexOf("\n\n");
    const [, extra, index, ...hashes] = text.slice(0, split).split("\n");
    const entry = {
      inclusionProof: {
        logIndex: index.replace("index ", ""),
        hashes: hashes.map((line) => Buffer.from(line, "base64")),
        checkpoint: { envelope: text.slice(split + 2) },
      },
      canonicalizedBody: Buffer.from(extra.replace("extra ", ""), "base64"),
    };
    const checkpoint = verifyCheckpoint(entry, [log]);
    verifyMerkleInclusion(entry, checkpoint);
    console.log(`ok ${entry.inclusionProof.logIndex} ${checkpoint.logSize}`);
  } catch (error) {
    console.log(`bad ${error.message}`);
  }
}
