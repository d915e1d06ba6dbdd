import type { FederationPartner } from '@countersign/model';
import { foreignAuthority, parseBundle, parseSpiffeId } from '@countersign/spiffe';
import type { z } from 'zod';
import { checkList } from '../document/check-shape.ts';
import { quote } from '../document/describe.ts';
import { inside, readText } from '../document/read-text.ts';
import type { Place } from '../document/report.ts';
import { federationPartnerShape } from '../shape/federation-shape.ts';
import { readAuthorities } from './read-certificates.ts';
import {
  type CheckContext,
  createNameRegister,
  type Located,
  readSource,
} from './repository-source.ts';

type Written = z.output<typeof federationPartnerShape>;
type At = (...more: PropertyKey[]) => Place;

/** 64 authorities of 16 KiB in base64. */
const BUNDLE_BYTES_MAX = 2_000_000;
/** As many as an authority follows. */
const PARTNERS_MAX = 256;
const SOON_MS = 30 * 86_400_000;

/** Reads `federation/*.yaml`: with whom the bank federates, each trust domain once and never its own. */
export async function checkFederation(
  files: readonly string[],
  options: { readonly context: CheckContext; readonly trustDomain: string },
): Promise<readonly FederationPartner[]> {
  const { context, trustDomain } = options;
  const { report } = context;
  const names = createNameRegister('trust domain', report);
  const found: (Located<Written> & { readonly partner: FederationPartner })[] = [];
  for (const file of files) {
    const document = await readSource(file, context);
    for (const { value, path } of document
      ? checkList(document, federationPartnerShape, report)
      : []) {
      if (!document) continue;
      const at: At = (...more) => document.at([...path, ...more]);
      if (!names.take(value.trustDomain, at('trustDomain'))) continue;
      if (value.trustDomain === trustDomain) {
        report.error(at('trustDomain'), {
          found: `'${trustDomain}', the bank's own trust domain`,
          expected: "a partner's: nobody else may say who is of ours",
          mend: 'remove the entry',
        });
        continue;
      }
      warnOfEnd(value, at, context);
      const partner = await partnerOf(value, at, context);
      if (partner) found.push({ value, document, path, partner });
    }
  }
  if (found.length > PARTNERS_MAX) {
    report.error(
      { file: files[0] ?? 'federation' },
      {
        found: `${found.length} partners`,
        expected: `at most ${PARTNERS_MAX}`,
        mend: 'remove those that are over',
      },
    );
  }
  const known = new Set(found.map(({ value }) => value.trustDomain));
  for (const { partner, document, path } of found) {
    const { endpoint } = partner;
    if (endpoint.profile !== 'https_spiffe') continue;
    const server = parseSpiffeId(endpoint.spiffeId).trustDomain;
    if (known.has(server)) continue;
    report.error(document.at([...path, 'bundleEndpoint', 'spiffeId']), {
      found: `an endpoint of trust domain '${server}'`,
      expected:
        "the partner's own trust domain, or another one of federation/: else there is no bundle to verify it by",
      mend: `add '${server}' to federation/, or correct the SPIFFE ID`,
    });
  }
  return found.map(({ partner }) => partner);
}

async function partnerOf(
  written: Written,
  at: At,
  context: CheckContext,
): Promise<FederationPartner | undefined> {
  const { report } = context;
  const { url, profile, spiffeId, bundleFile, webAuthorities } = written.bundleEndpoint;
  const misplaced = profile === 'https_web' ? ['spiffeId'] : ['webAuthorities'];
  for (const key of misplaced) {
    const isWritten = key === 'spiffeId' ? spiffeId !== undefined : webAuthorities.length > 0;
    if (!isWritten) continue;
    report.error(at('bundleEndpoint', key), {
      found: `'${key}' of an ${profile} endpoint`,
      expected: `it with ${profile === 'https_web' ? 'https_spiffe' : 'https_web'} only`,
      mend: 'remove it, or correct the profile',
    });
    return undefined;
  }
  if (profile === 'https_spiffe' && (spiffeId === undefined || bundleFile === undefined)) {
    report.error(at('bundleEndpoint'), {
      found: `https_spiffe without '${spiffeId === undefined ? 'spiffeId' : 'bundleFile'}'`,
      expected:
        'the SPIFFE ID of whoever serves it, and the bundle to begin with: without them anybody could serve it',
      mend: 'ask the partner for both, by another way than this endpoint',
    });
    return undefined;
  }
  const errors = report.errorCount;
  const initialBundle =
    bundleFile === undefined
      ? undefined
      : await readBundle(bundleFile, {
          context,
          from: at('bundleEndpoint', 'bundleFile'),
          trustDomain: written.trustDomain,
        });
  const authorities: string[] = [];
  for (const [index, file] of webAuthorities.entries()) {
    const from = at('bundleEndpoint', 'webAuthorities', index);
    for (const pem of await readAuthorities(file, { ...context, from })) {
      authorities.push(pem.replace(/-----[A-Z ]+-----|\s/g, ''));
    }
  }
  if (report.errorCount > errors) return undefined;
  return {
    trustDomain: written.trustDomain,
    owner: written.owner,
    expiresMs: written.expires,
    trustForSeconds: written.trustFor,
    endpoint:
      profile === 'https_spiffe'
        ? { url, profile, spiffeId: spiffeId ?? '' }
        : { url, profile, ...(authorities.length > 0 && { webAuthorities: authorities }) },
    ...(initialBundle !== undefined && { initialBundle }),
  };
}

async function readBundle(
  named: string,
  options: {
    readonly context: CheckContext;
    readonly from: Place;
    readonly trustDomain: string;
  },
): Promise<string | undefined> {
  const { context, from, trustDomain } = options;
  const { report, folder } = context;
  const file = inside('.', named);
  if (file === undefined) {
    report.error(from, {
      found: quote(named),
      expected: "a path inside the repository, from the repository's folder",
      mend: 'copy the bundle into the repository',
    });
    return undefined;
  }
  const text = await readText(file, { folder, report, from, bytesMax: BUNDLE_BYTES_MAX });
  if (text === undefined) return undefined;
  try {
    const bundle = parseBundle(text, { trustDomain });
    const foreign = foreignAuthority(bundle);
    if (foreign !== undefined) {
      report.error(from, {
        found: `${quote(named)} with an authority that is called ${quote(foreign)}`,
        expected: `authorities of '${trustDomain}'`,
        mend: 'name the file that this partner gave you, and no other',
      });
      return undefined;
    }
    if (bundle.x509Authorities.length > 0) return text;
    report.error(from, {
      found: `${quote(named)} without X.509 authorities`,
      expected: 'one or more: with none nobody of the partner is believed, its endpoint neither',
      mend: 'ask the partner for its bundle as it is now',
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : 'could not be read';
    report.error(from, {
      found: `${quote(named)}: ${message.replace(/^could not read bundle: found /, '')}`,
      expected: 'a SPIFFE bundle: a JWK Set with x509-svid keys, not PEM',
      mend: "SPIRE writes one with 'spire-server bundle show -format spiffe', Countersign serves one at its bundle endpoint",
    });
  }
  return undefined;
}

function warnOfEnd({ trustDomain, expires }: Written, at: At, { now, report }: CheckContext): void {
  const leftMs = expires - now();
  if (leftMs > SOON_MS) return;
  report.warn(at('expires'), {
    found: `a federation with '${trustDomain}' that ${leftMs > 0 ? `ends in ${Math.ceil(leftMs / 86_400_000)} days` : 'has ended'}`,
    expected: 'a day that is more than 30 days off: from then on nobody of it is believed',
    mend: 'renew it with its owner, or remove it',
  });
}
