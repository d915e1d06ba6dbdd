import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Workload } from '@countersign/sdk';
import { certificateThumbprint, encodePem } from '@countersign/spiffe';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forgedSvid, stolenAuthorities } from '../../identity/test/stolen-authority.ts';
import { askAs, controlOf, flipped, renewAs, type Shown } from './as-peer.ts';
import { foundEvents } from './node-bank.ts';
import { PAYMENTS, POINT, rotatingBank, until } from './rotating-bank.ts';
import { temporaryFolder } from './test-io.ts';

// A thief with the key of an X.509 authority, out of a backup: what it makes verifies until somebody taints that authority.

type Bank = Awaited<ReturnType<typeof rotatingBank>>;
const thumbprintOf = ({ chain: [leaf] }: Shown) => certificateThumbprint(leaf ?? new Uint8Array());
const shownBy = ({ chain, keyPem }: Workload): Shown => ({ chain, keyPem });
const pathOf = (bank: Bank) => `${bank.origin}/accounts-api/accounts`;
const statusAt = async (bank: Bank, shown: Shown) => (await askAs(shown, pathOf(bank))).status;
const alarmsOf = async (bank: Bank) =>
  (await foundEvents(bank.onAuthority, '--kind', 'alarm')).filter(
    ({ alarm }) => alarm === 'svid-forged',
  );
const reasonsOf = async (bank: Bank) =>
  (await foundEvents(bank.onAuthority, '--kind', 'authentication', '--log', 'authority')).map(
    ({ reason }) => reason,
  );
async function firstStolen(bank: Bank) {
  const [stolen] = await stolenAuthorities(bank.data);
  if (stolen === undefined) throw new Error('found no authority');
  return stolen;
}

describe('an authority that is its own root', () => {
  let bank: Bank;
  beforeAll(async () => {
    bank = await rotatingBank();
  }, 60_000);
  afterAll(() => bank[Symbol.asyncDispose]());

  test('a forged SVID is never renewed, whoever issues, and an alarm names it', async () => {
    const control = controlOf(bank.data);
    const stolen = await firstStolen(bank);
    const forged = await forgedSvid(stolen, PAYMENTS);
    const genuine = shownBy(await bank.workload());
    // Nothing tells it from a genuine one but that we did not issue it.
    expect([await statusAt(bank, forged), await statusAt(bank, genuine)]).toEqual([200, 200]);
    for (let times = 0; times < 3; times += 1) {
      const { status, body } = await renewAs(forged, control);
      expect([status, JSON.parse(body).detail]).toEqual([
        403,
        'this SVID was not issued here, or it is known no more: join again',
      ]);
    }
    // Once, however often it asks.
    const [alarm, ...more] = await alarmsOf(bank);
    expect(more).toEqual([]);
    expect(alarm?.detail).toBe(
      `${PAYMENTS}: found ${thumbprintOf(forged)}, which was never issued`,
    );
    const renewed = await renewAs(genuine, control);
    expect(renewed.status).toBe(200);

    await bank.ca('prepare', 'x509');
    await bank.ca('activate', 'x509');
    // Of the one before, as of the one that issues.
    expect((await renewAs(forged, control)).status).toBe(403);
    await bank.ca('taint', 'x509', stolen.id, '--reason', 'a backup was found');
    await until(async () => (await statusAt(bank, forged)) === 401, 'the point refuses it');
    expect((await renewAs(forged, control)).status).toBe(403);
    // What was really issued is renewed, however often.
    const next = await renewAs(renewed.got ?? genuine, control);
    expect((await renewAs(next.got ?? genuine, control)).status).toBe(200);
    await bank.ca('revoke', 'x509', stolen.id, '--reason', 'every host has renewed');
    expect((await renewAs(forged, control)).status).toBe(401);
    expect(await statusAt(bank, next.got ?? genuine)).toBe(200);
  });

  test('a certificate that is revoked opens nothing with its other signature either', async () => {
    const control = controlOf(bank.data);
    const shown = shownBy(await bank.workload());
    const other = flipped(shown);
    expect([await statusAt(bank, shown), await statusAt(bank, other)]).toEqual([200, 200]);
    const before = (await alarmsOf(bank)).length;
    // Nobody changes a signature but who has the key; the alarm of this subject was told within ten minutes.
    expect((await renewAs(other, control)).status).toBe(403);
    expect((await alarmsOf(bank)).length).toBe(before);
    const { code } = await bank.onAuthority(
      ...['revoke', 'certificate', thumbprintOf(shown), '--reason', 'stolen'],
    );
    expect(code).toBe(0);
    await until(async () => (await statusAt(bank, shown)) === 401, 'it is refused');
    expect(await statusAt(bank, other)).toBe(401);
    for (const each of [shown, other]) {
      const { status, body } = await renewAs(each, control);
      expect([status, JSON.parse(body).detail]).toEqual([403, 'this SVID is revoked']);
    }
  });

  test('what was issued after a backup is unknown when that is restored, and joins again', async () => {
    const control = () => controlOf(bank.data);
    const database = join(bank.data, 'authority');
    const backup = await temporaryFolder();
    const files = ['state.db', 'state.db-wal', 'state.db-shm'];
    const copy = async (from: string, to: string) => {
      for (const file of files) await rm(join(to, file), { force: true });
      for (const file of files) await cp(join(from, file), join(to, file)).catch(() => undefined);
    };
    const early = shownBy(await bank.workload());
    await bank.restartAuthority(() => copy(database, backup.path));
    const late = shownBy(await bank.workload());
    expect((await renewAs(late, control())).status).toBe(200);
    await bank.restartAuthority(() => copy(backup.path, database));
    expect((await renewAs(late, control())).status).toBe(403);
    expect((await renewAs(early, control())).status).toBe(200);
    const again = shownBy(await bank.workload());
    expect((await renewAs(again, control())).status).toBe(200);
    await backup[Symbol.asyncDispose]();
  });
});

describe('an authority below an upstream, whose root stays', () => {
  let bank: Bank;
  let folder: Awaited<ReturnType<typeof temporaryFolder>> | undefined;
  const servers: Server[] = [];
  beforeAll(async () => {
    folder = await temporaryFolder();
    const at = (name: string) => join(folder?.path ?? '', name);
    newCa(at, 'root');
    newCa(at, 'issuing', 'root');
    const [certificateFile, keyFile, rootsFile] = ['issuing.pem', 'issuing.key', 'root.pem'].map(
      at,
    );
    const upstream = { disk: { certificateFile, keyFile, rootsFile } };
    bank = await rotatingBank({ ca: JSON.stringify({ lifetime: '24h', upstream }) });
  }, 60_000);
  afterAll(async () => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    await bank[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  /** A server of the thief's, as the point. */
  async function serve({ chain, keyPem }: Shown): Promise<string> {
    const tls = { cert: encodePem(chain), key: keyPem, minVersion: 'TLSv1.3' as const };
    const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (_, a) =>
      a.end('thief'),
    );
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const call = (workload: Workload, url: string): Promise<string> =>
    request(url, { dispatcher: workload.dispatcherFor(url, POINT) }).then(
      (answer) => answer.body.text(),
      (error: Error) => error.message,
    );

  test('is refused by name with either of its signatures, tainted and revoked: by the point, the authority and the SDK', async () => {
    const control = controlOf(bank.data);
    const stolen = await firstStolen(bank);
    const [forged, point] = [await forgedSvid(stolen, PAYMENTS), await forgedSvid(stolen, POINT)];
    expect(forged.chain).toHaveLength(3);
    const turned = (shown: Shown) => flipped(shown, 1, 'P-384');
    const bothOf = (shown: Shown) => [shown, turned(shown)];
    for (const each of bothOf(forged)) expect(await statusAt(bank, each)).toBe(200);
    const urls = await Promise.all(bothOf(point).map(serve));
    const before = await bank.workload();
    for (const url of urls) expect(await call(before, url)).toBe('thief');
    const away = shownBy(before);
    await before.close();

    await bank.ca('prepare', 'x509');
    await bank.ca('activate', 'x509');
    await bank.ca('taint', 'x509', stolen.id, '--reason', 'stolen');
    await until(async () => (await statusAt(bank, forged)) === 401, 'the point refuses it');
    const refusedEverywhere = async () => {
      for (const each of bothOf(forged)) {
        expect(await statusAt(bank, each)).toBe(401);
        expect((await renewAs(each, control)).status).toBe(403);
      }
      for (const each of bothOf(point)) {
        for (const path of ['feed', 'record-keys']) {
          expect((await askAs(each, `${control}/v1/${path}`)).status).toBeGreaterThanOrEqual(400);
        }
      }
      const workload = await bank.workload();
      for (const url of urls) {
        expect(await call(workload, url)).toMatch(/found its authority taken back/);
      }
      await workload.close();
    };
    await refusedEverywhere();
    // Really issued: it is good for its own renewal, until the authority is revoked.
    expect((await renewAs(away, control)).status).toBe(200);
    await bank.ca('revoke', 'x509', stolen.id, '--reason', 'every host has renewed');
    await refusedEverywhere();
    const alarms = (await alarmsOf(bank)).length;
    // Late and not a thief: what was issued is forgotten, and nobody can tell; so no alarm.
    expect((await renewAs(away, control)).status).toBe(403);
    expect((await reasonsOf(bank))[0]).toBe('certificate-revoked');
    expect((await alarmsOf(bank)).length).toBe(alarms);
  });
});

/** A CA of the bank's; `by` none: a root. */
function newCa(at: (name: string) => string, name: string, by?: string): void {
  const key = at(`${name}.key`);
  execFileSync('openssl', [
    ...['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-out', key],
  ]);
  execFileSync('openssl', [
    ...['req', '-new', '-x509', '-subj', `/O=Bank/CN=${name}`, '-key', key, '-days', '3'],
    ...(by ? ['-CA', at(`${by}.pem`), '-CAkey', at(`${by}.key`)] : []),
    ...['-out', at(`${name}.pem`), '-addext', 'basicConstraints=critical,CA:TRUE'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ]);
}
