import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { ClientRegistration, ExchangeRule } from '@countersign/model';
import type { z } from 'zod';
import { describe, listOf, quote } from '../document/describe.ts';
import type { Words } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { identityShape } from '../shape/identity-shape.ts';
import type { CheckContext, Located } from './repository-source.ts';

/** What a client may ask for. */
export interface ClientVocabulary {
  readonly scopes: ReadonlySet<string>;
  readonly audiences: ReadonlySet<string>;
  /** False when a surface has faults: then an unknown scope may be known after all. */
  readonly isWhole: boolean;
}

type WrittenIdentity = z.output<typeof identityShape>;
type WrittenClient = NonNullable<WrittenIdentity['client']>;

/** SPIFFE-ID §2, with a path. */
/** As the issuer takes it: RFC 6749 appendix A.1, without what would need care in a log or a path. */
const CLIENT_ID = /^[A-Za-z0-9._~-]{1,128}$/;
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/;

/** Checks an identity's OAuth client against its certificates, its keys and what the surfaces know. */
export function checkClient(
  identity: Located<WrittenIdentity>,
  options: {
    readonly context: CheckContext;
    readonly vocabulary: ClientVocabulary;
    readonly defaultTtlSeconds: number;
    readonly trustDomain: string;
  },
): ClientRegistration | undefined {
  const client = identity.value.client;
  if (!client) return undefined;
  const { report } = options.context;
  const refuse = (path: readonly PropertyKey[], words: Words) =>
    report.error(identity.document.at([...identity.path, 'client', ...path]), words);
  const { authentication } = client;
  const byKey = authentication === 'private_key_jwt';
  const bySvid = authentication === 'spiffe_x509' || authentication === 'spiffe_jwt';
  const binding = client.binding ?? (byKey || authentication === 'spiffe_jwt' ? 'dpop' : 'mtls');

  if (byKey && !client.jwks) {
    refuse(['authentication'], {
      found: 'private_key_jwt without jwks',
      expected: 'the public keys that its assertions are signed with',
      mend: "add 'jwks: [{ kty: EC, ... }]'",
    });
  }
  if (!byKey && client.jwks) {
    refuse(['jwks'], {
      found: `jwks with ${authentication}`,
      expected: 'keys for private_key_jwt only',
      mend: "remove 'jwks', or write 'authentication: private_key_jwt'",
    });
  }
  const needsCertificate = !byKey ? 'authentication' : binding === 'mtls' ? 'binding' : undefined;
  if (needsCertificate && !bySvid && identity.value.certificates.length === 0) {
    refuse([needsCertificate], {
      found: `${!byKey ? 'tls_client_auth' : 'binding mtls'} without a certificate`,
      expected: "a client certificate in 'certificates'",
      mend: "add 'certificates: [trust/<name>.pem]' to the identity",
    });
  }
  if (authentication === 'spiffe_x509' && binding === 'dpop') {
    refuse(['binding'], {
      found: 'spiffe_x509 with binding dpop',
      expected: 'mtls: the SVID that it authenticates with is there on every connection',
      mend: "remove 'binding'",
    });
  }
  if (client.people?.notificationEndpoint !== undefined && client.people.ciba !== true) {
    refuse(['people', 'notificationEndpoint'], {
      found: "a notificationEndpoint without 'ciba: true'",
      expected: 'one of an application that may ask people who are elsewhere',
      mend: "add 'ciba: true', or remove it",
    });
  }
  const id = clientId();
  for (const [index, jwk] of (client.jwks ?? []).entries()) {
    const fault = faultOfKey(jwk);
    if (fault) refuse(['jwks', index], fault);
  }
  checkWords(client.scopes, { key: 'scopes', what: 'scope', known: options.vocabulary.scopes });
  checkWords(client.audiences, {
    key: 'audiences',
    what: 'audience',
    known: options.vocabulary.audiences,
  });

  return {
    id,
    authentication: client.authentication,
    ...(client.jwks && { jwks: client.jwks }),
    binding,
    scopes: client.scopes,
    audiences: client.audiences,
    tokenTtlSeconds: client.tokenTtl ?? options.defaultTtlSeconds,
    ...(client.people && { people: client.people }),
    ...(client.authorizationDetailsTypes?.length && {
      detailTypes: client.authorizationDetailsTypes,
    }),
    ...(client.exchange && { exchange: exchangeRule(client.exchange) }),
  };

  /** RFC 6749 §2.2 leaves the name to us; a client that shows SVIDs is known by what stands in them. */
  function clientId(): string {
    const own = `spiffe://${options.trustDomain}/${identity.value.id}`;
    const { id = own } = client as NonNullable<typeof client>;
    if (!bySvid) {
      if (client?.id !== undefined && CLIENT_ID.test(id)) return id;
      refuse(client?.id === undefined ? [] : ['id'], {
        found: client?.id === undefined ? `${authentication} without a client id` : quote(id),
        expected:
          'a name of letters, digits, . _ ~ -, at most 128; a SPIFFE ID is for clients that show SVIDs',
        mend: "write 'id: <name>', or 'authentication: spiffe_x509'",
      });
      return id;
    }
    const isForeign = SPIFFE_ID.test(id) && !id.startsWith(`spiffe://${options.trustDomain}/`);
    if (id !== own && !isForeign) {
      refuse(['id'], {
        found: quote(id),
        expected: `its own SPIFFE ID ${quote(own)}, or one of another trust domain`,
        mend: "remove 'id': its own is the default",
      });
    }
    return id;
  }

  function checkWords(
    words: readonly string[],
    { key, what, known }: { key: string; what: string; known: ReadonlySet<string> },
  ): void {
    for (const [index, word] of words.entries()) {
      if (known.has(word) || !options.vocabulary.isWhole) continue;
      refuse([key, index], {
        found: `${what} ${quote(word)}`,
        expected: `one that a surface knows: ${listOf(known)}`,
        mend: didYouMean(word, known, `remove it, or correct the surface that should know it`),
      });
    }
  }
}

function exchangeRule({
  from,
  serves,
  depth,
}: NonNullable<WrittenClient['exchange']>): ExchangeRule {
  return { from: [...new Set(from)], serves: [...new Set(serves)], depthMax: depth };
}

/** RFC 7518 §6: the members of a JWK that are the private half, or a shared secret. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

function faultOfKey(jwk: Readonly<Record<string, unknown>>): Words | undefined {
  const secret = PRIVATE_MEMBERS.find((member) => member in jwk);
  if (secret !== undefined) {
    return {
      found: `a private key (member '${secret}')`,
      expected: 'the public half only: whoever reads the repository would have the key',
      mend: 'write its public half, and replace the key: it is no secret any more',
    };
  }
  try {
    createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    return undefined;
  } catch {
    return {
      found: `a key of kty ${describe(jwk['kty'])} that does not parse`,
      expected: 'a public JWK: EC, RSA or OKP (RFC 7517)',
      mend: 'export the public key as JWK again',
    };
  }
}
