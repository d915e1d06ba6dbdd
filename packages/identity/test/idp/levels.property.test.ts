import { ACR_VALUES, type Acr, type DetailType, type PeopleClient } from '@countersign/model';
import fc from 'fast-check';
import { decodeJwt, type JWTPayload } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { id, registration } from '../authority.ts';
import type { Browser } from '../login/browser.ts';
import { invite, type LoginBank, startLoginBank } from '../login/login-bank.ts';
import { MODEL, SoftwareAuthenticator } from '../login/software-authenticator.ts';
import type { Teller } from '../login/teller.ts';
import { type OwnIdp, startOwnIdp } from './own-idp.ts';

// How high a person must be signed in is said in three places, and by what they are in three more: no mixture of them yields a token
// below what was asked, and each that is enough yields one.
const detailType = (type: string, acr?: Acr): DetailType => ({
  ...{ type, title: `Do ${type}`, isForClients: false, ...(acr && { acr }) },
  fields: { what: { label: 'What', kind: 'text', isOptional: true } },
});
const DETAILS = [detailType('plain'), detailType('phr', 'phr'), detailType('phrh', 'phrh')];
const detailTypes = DETAILS.map(({ type }) => type);
/** By what passkey each of them has. */
const PEOPLE = { none: 'nora', phr: 'paul', phrh: 'hugh' } as const;

let bank: LoginBank;
let idp: OwnIdp;
let teller: Teller;
const keys = new Map<string, SoftwareAuthenticator>();
beforeAll(async () => {
  bank = await startLoginBank({ detailTypes: DETAILS });
  idp = await startOwnIdp(bank);
  await apply('idp');
  teller = await bank.teller();
  keys.set(PEOPLE.phr, await bank.enrol(id(`human/${PEOPLE.phr}`)));
  const hardware = async () =>
    new SoftwareAuthenticator({
      ...{ aaguid: MODEL, attestation: await bank.maker.attestation({ aaguid: MODEL }) },
    });
  // One alone is worth no more than phr: whoever lost it would be locked out.
  const [one, other] = [await hardware(), await hardware()];
  const code = await invite(bank.authority, id(`human/${PEOPLE.phrh}`));
  const enrolled = await bank.browser().enrol(code, one, { hardware: true });
  expect(enrolled.status).toBe(201);
  const own = bank.browser();
  await own.openAccount(one);
  expect((await own.addPasskey(other, true)).status).toBe(200);
  keys.set(PEOPLE.phrh, one);
}, 60_000);
afterAll(async () => {
  await idp.close();
  await bank.close();
});

function apply(acr: PeopleClient['acr']): Promise<unknown> {
  const [, , , application] = bank.registrations({ acr });
  if (!application?.client) throw new Error('no application');
  return bank.apply([
    ...Object.values(PEOPLE).map((name) => registration(`human/${name}`)),
    { ...application, client: { ...application.client, detailTypes } },
  ]);
}

const way = fc.constantFrom('idp', 'passkey');
const mixture = fc.record({
  passkey: fc.constantFrom('none', 'phr', 'phrh'),
  mapped: fc.constantFrom(...ACR_VALUES),
  application: fc.constantFrom(...ACR_VALUES),
  asked: fc.subarray([...ACR_VALUES], { maxLength: 2 }),
  detail: fc.option(fc.constantFrom(...detailTypes), { nil: undefined }),
  way,
  /** How they signed in before in the same browser, to the same application when it took anything. */
  before: fc.option(way, { nil: undefined }),
  isStraight: fc.boolean(),
});

interface SignIn {
  readonly name: string;
  readonly way: string;
  readonly parameters: Record<string, string>;
}

/** As far as this person gets: the claims of a token, or nothing. */
async function signIn(
  browser: Browser,
  { name, way: by, parameters }: SignIn,
): Promise<JWTPayload | undefined> {
  const key = keys.get(name);
  const pending = await teller.begin(parameters);
  let at = await browser.go(pending.url);
  if (by === 'idp' && at.page) at = await browser.go(`${at.url.pathname}/idp?with=staff`);
  if (!at.page && at.url.origin === idp.server.url) {
    at = await browser.go((await idp.browser().go(at.url)).url);
  }
  if (at.page) {
    expect(at.page.response.status).toBe(200);
    if (key === undefined) return undefined;
    const { status, body } = await browser.answer(at, key);
    expect([200, 403]).toContain(status);
    if (status !== 200) return undefined;
    at = await browser.go(body.location);
  }
  if (at.page || !at.url.searchParams.has('code')) return undefined;
  return decodeJwt((await teller.finish(at.url, pending)).access_token);
}

test('no mixture of levels yields a token below what was asked, and each that is enough yields one', async () => {
  const seen = { issued: 0, refused: 0 };
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(mixture, async (mixed) => {
      const { passkey, mapped, application, asked, detail, before, isStraight } = mixed;
      const name = PEOPLE[passkey as keyof typeof PEOPLE];
      bank.set({
        identityProviders: [{ ...idp.provider, acr: { gold: mapped } }],
        ...{ straightTo: isStraight ? 'staff' : undefined },
      } as never);
      idp.account = { sub: name, acr: 'gold', claims: { preferred_username: name } };
      const browser = bank.browser();
      await apply('idp');
      const first = before && (await signIn(browser, { name, way: before, parameters: {} }));
      await apply(application);
      const claims = await signIn(browser, {
        ...{ name, way: mixed.way },
        parameters: {
          ...(asked.length > 0 && { acr_values: asked.toReversed().join(' ') }),
          ...(detail && { authorization_details: JSON.stringify([{ type: detail }]) }),
        },
      });

      const forDetail = detail && (detail === 'phrh' ? 'phrh' : 'phr');
      const needed = Math.max(...[application, forDetail, asked[0]].map(rank));
      // By the provider went whoever said so, and whoever was sent there.
      const isByProvider =
        mixed.way === 'idp' || (before && first?.['acr'] === mapped) || isStraight;
      const isEnough =
        rank(passkey) >= needed || (!detail && Boolean(isByProvider) && rank(mapped) >= needed);
      expect(claims !== undefined).toBe(isEnough);
      seen[claims ? 'issued' : 'refused'] += 1;
      if (claims === undefined) return;
      expect(rank(String(claims['acr']))).toBeGreaterThanOrEqual(needed);
      expect([passkey, mapped]).toContain(claims['acr']);
      if (!detail) return;
      expect(claims).toMatchObject({ acr: passkey, authorization_details: [{ type: detail }] });
    }),
    { numRuns: Number(process.env['RUNS'] ?? 100), seed },
  );
  console.log(`${seen.issued} tokens, ${seen.refused} refusals`);
  expect(Math.min(seen.issued, seen.refused)).toBeGreaterThan(5);
}, 120_000);

/** -1 for what asks for nothing, or is nothing. */
function rank(level: string | undefined): number {
  return (ACR_VALUES as readonly (string | undefined)[]).indexOf(level);
}
