import type { Identity } from '@countersign/identity';
import { encodePem } from '@countersign/spiffe';
import type { FactLog } from '@countersign/state';
import { replaceFile } from '../../replace-file.ts';

/** Often enough for lives of a minute, and for a clock that was set. */
const LOOK_EVERY_MS = 1000;

/** The rotation of the authorities, as long as the process runs. */
export interface Rotation {
  close(): Promise<void>;
}

/**
 * Does what is due of the authorities' rotation, and keeps `trust.json` and `trust.pem` as the bundle is, for hosts that are
 * set up later.
 *
 * @param options `files` are written anew at the start and whenever the bundle is another
 */
export async function runRotation(options: {
  readonly identity: Identity;
  readonly factLog: FactLog;
  readonly files: { readonly json: string; readonly pem: string };
  readonly controlUrl: string;
  readonly warn: (text: string) => void;
}): Promise<Rotation> {
  const { identity, factLog, files, controlUrl, warn } = options;
  const write = async (): Promise<void> => {
    const trust = { ...identity.trustAnchors, controlUrl };
    await replaceFile(files.json, `${JSON.stringify(trust, undefined, 2)}\n`);
    // The same authorities for curl, openssl and whoever else reads no JSON.
    const ders = trust.x509Authorities.map((text) => Buffer.from(text, 'base64'));
    await replaceFile(files.pem, encodePem(ders));
  };
  await write();
  let writing = Promise.resolve();
  const unsubscribe = factLog.subscribe(({ puts }) => {
    const isOurs = puts.some(
      (fact) => fact.kind === 'trust-bundle' && fact.trustDomain === factLog.trustDomain,
    );
    if (!isOurs) return;
    writing = writing
      .then(write)
      .catch((error: Error) => warn(`cannot write ${files.json}: ${error.message}`));
  });
  let turning: Promise<void> | undefined;
  const timer = setInterval(() => {
    turning ??= identity
      .rotate()
      .catch((error: Error) => warn(`rotation of the authorities: ${error.message}`))
      .finally(() => {
        turning = undefined;
      });
  }, LOOK_EVERY_MS);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      unsubscribe();
      await turning;
      await writing;
    },
  };
}
