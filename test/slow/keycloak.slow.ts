import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { isKeycloakThere, type Keycloak, startKeycloak } from '@countersign/test-support/keycloak';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pemOf } from '../../packages/identity/test/authority.ts';
import { providerOf } from '../../packages/identity/test/idp/own-idp.ts';
import {
  alice,
  invite,
  type LoginBank,
  startLoginBank,
} from '../../packages/identity/test/login/login-bank.ts';
import { REDIRECT, type Teller } from '../../packages/identity/test/login/teller.ts';
import { encodePem } from '../../packages/spiffe/src/index.ts';
import { type BrowserPage, isBrowserThere, openBrowserPage } from './support/chromium.ts';
import { makeFolder, type TestFolder } from './support/data-folder.ts';
import { until } from './support/until.ts';

const PASSWORD = 'only-keycloak-knows-it';
const WHAT = 'sign-in at Keycloak';

// Neither the identity provider nor the browser is ours: its form, its tokens, its logout.
describe.skipIf(!isKeycloakThere(WHAT) || !isBrowserThere(WHAT))('with Keycloak', () => {
  let folder: TestFolder;
  let bank: LoginBank;
  let keycloak: Keycloak;
  let browser: BrowserPage;
  let teller: Teller;
  let pins: string[];
  let provider: ReturnType<typeof providerOf>;

  beforeAll(async () => {
    folder = makeFolder('keycloak');
    bank = await startLoginBank();
    const at = (name: string) => join(folder.path, name);
    const [tls, client] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    if (!tls || !client) throw new Error('no keys');
    const svid = await bank.authority.identity.issueOwnSvid(tls.publicKey, {
      dnsNames: ['localhost'],
    });
    writeFileSync(at('tls.pem'), encodePem(svid.chain));
    writeFileSync(at('tls.key'), pemOf(tls.privateKey));
    writeFileSync(at('ca.pem'), bank.authority.authorityPem);
    writeFileSync(at('client.key'), pemOf(client.privateKey));
    pins = [bank.authority.issuerCertificate, new X509Certificate(svid.chain[0] as Uint8Array)].map(
      spkiOf,
    );
    keycloak = await startKeycloak({
      ...{ certificateFile: at('tls.pem'), keyFile: at('tls.key'), caFile: at('ca.pem') },
      ...{ caPem: bank.authority.authorityPem, port: await freePort() },
    });
    provider = providerOf(
      { url: `${keycloak.url}/realms/staff`, caFile: at('ca.pem'), folder: folder.path },
      { name: 'keycloak', acr: {}, person: { claim: 'preferred_username', matches: 'id' } },
    );
    await makeRealm();
    teller = await bank.teller();
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
    await keycloak?.close();
    await bank?.close();
    await folder?.remove();
  });

  beforeEach(async () => {
    await browser?.close();
    browser = await openBrowserPage(`${folder.path}/${Math.random()}`, [
      `--ignore-certificate-errors-spki-list=${pins.join(',')}`,
    ]);
    await browser.call('Network.enable');
    bank.set({ identityProviders: [provider] });
    await bank.apply(bank.registrations({ acr: 'idp' }));
  });

  /** A realm with a person, and our issuer as its client: PAR, PKCE, private_key_jwt, DPoP, logout by back channel. */
  async function makeRealm(): Promise<void> {
    const ours = `${bank.authority.issuerUrl}/idp/keycloak`;
    await keycloak.admin('POST', '', {
      ...{ realm: 'staff', enabled: true, sslRequired: 'all' },
      attributes: { 'acr.loa.map': JSON.stringify({ silver: 1, gold: 2 }) },
      users: [
        {
          ...{ username: 'alice', enabled: true, firstName: 'Alice', lastName: 'A' },
          ...{ email: 'alice@bank.example', emailVerified: true },
          credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
        },
      ],
      clients: [
        {
          ...{ clientId: provider.clientId, enabled: true, publicClient: false },
          ...{ standardFlowEnabled: true, directAccessGrantsEnabled: false },
          clientAuthenticatorType: 'client-jwt',
          redirectUris: [`${ours}/callback`],
          attributes: {
            'use.jwks.url': 'true',
            'jwks.url': `${ours}/jwks`,
            'token.endpoint.auth.signing.alg': 'ES256',
            'id.token.signed.response.alg': 'ES256',
            'pkce.code.challenge.method': 'S256',
            'require.pushed.authorization.requests': 'true',
            'dpop.bound.access.tokens': 'true',
            'backchannel.logout.url': `${ours}/backchannel-logout`,
            'backchannel.logout.session.required': 'true',
          },
        },
      ],
    });
  }

  const click = (selector: string) =>
    browser.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  /** While a page is left for another there is nothing to ask. */
  const shows = (selector: string) =>
    until(async () => {
      const found = `document.readyState === 'complete' && document.querySelector(${JSON.stringify(selector)}) !== null`;
      return browser.evaluate<boolean>(found).catch(() => false);
    }, 30_000);

  /** The callback of the application that the browser is sent to; there is nobody there, which does not matter. */
  function watchCallback(): () => Promise<URL> {
    const seen: string[] = [];
    browser.onEvent((method, parameters) => {
      if (method !== 'Network.requestWillBeSent') return;
      const { url } = parameters['request'] as { url: string };
      if (url.startsWith(REDIRECT)) seen.push(url);
    });
    return async () => {
      await until(() => seen.length > 0, 30_000);
      return new URL(seen[0] as string);
    };
  }

  /** From our page by the button through Keycloak's form. */
  async function throughForm(url: URL): Promise<void> {
    await browser.open(url.href);
    await click('a.button');
    await shows('#kc-login');
    await browser.evaluate(`(() => {
      const name = document.getElementById('username');
      if (name) name.value = 'alice';
      document.getElementById('password').value = ${JSON.stringify(PASSWORD)};
    })()`);
    await click('#kc-login');
  }

  async function signIn(parameters: Record<string, string> = {}) {
    const pending = await teller.begin(parameters);
    const callback = watchCallback();
    await throughForm(pending.url);
    return decodeJwt((await teller.finish(await callback(), pending)).access_token);
  }

  const events = (text: string) =>
    bank.authority.events.filter((each) => JSON.stringify(each).includes(text));

  test('a person signs in by its form, and is worth what the bank mapped', async () => {
    const claims = await signIn();
    expect(claims).toMatchObject({ sub: alice, acr: 'idp', client_id: 'teller' });
    expect(events('"idp-linked"')).toHaveLength(1);
    // Its password is level 1, called silver there; calling that phr is what no bank should do, and shows the map.
    bank.set({ identityProviders: [{ ...provider, acr: { silver: 'phr' } }] });
    const mapped = await signIn({ acr_values: 'phr', prompt: 'login' });
    expect(mapped).toMatchObject({ sub: alice, acr: 'phr' });
    expect(Number(mapped['auth_time'])).toBeGreaterThanOrEqual(Number(claims['auth_time']));
  });

  test('the person steps up with our passkey where Keycloak cannot prove what is asked', async () => {
    await browser.call('WebAuthn.enable');
    await browser.call('WebAuthn.addVirtualAuthenticator', {
      options: {
        ...{ protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal' },
        ...{ hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
        automaticPresenceSimulation: true,
      },
    });
    await browser.open(`${bank.authority.issuerUrl}/enrol`);
    const code = await invite(bank.authority, alice);
    await browser.evaluate(`document.getElementById('code').value = ${JSON.stringify(code)}`);
    await click('#enrol');
    await shows('main[data-state=registered]');

    const pending = await teller.begin({ acr_values: 'phr' });
    const callback = watchCallback();
    await throughForm(pending.url);
    await shows('#sign-in');
    expect(await browser.evaluate('document.body.innerText')).toContain('you are alice');
    await click('#sign-in');
    const tokens = await teller.finish(await callback(), pending);
    expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: alice, acr: 'phr' });
  });

  test('signing the person out in Keycloak ends our session by the back channel', async () => {
    const claims = await signIn();
    const sid = String(claims['sid']);
    expect(bank.authority.identity.isRevoked('session', sid)).toBe(false);
    const [user] = (await keycloak.admin('GET', '/staff/users?username=alice')) as { id: string }[];
    await keycloak.admin('POST', `/staff/users/${user?.id}/logout`, {});
    await until(() => bank.authority.identity.isRevoked('session', sid), 30_000);
    expect(events('"idp-logout"')).not.toEqual([]);
  });

  test('without Keycloak the passkey signs in', async () => {
    await keycloak.close();
    // As it is configured anew: nothing of it is held.
    bank.set({ identityProviders: [{ ...provider }], straightTo: 'keycloak' });
    const pending = await teller.begin();
    await browser.open(pending.url.href);
    await shows('a.button');
    expect(await browser.evaluate('document.body.innerText')).toContain('does not answer now');
    await click('a.button');
    await shows('#sign-in');
    expect(events('"idp-unreachable"')).not.toEqual([]);
  });
});

function spkiOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}
