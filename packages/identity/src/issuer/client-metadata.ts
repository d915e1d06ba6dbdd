import type { ClientAuthentication } from '@countersign/model';
import type { AdapterPayload } from 'oidc-provider';
import type { ClientOf } from '../registry.ts';
import { peopleClientMetadata } from './code-flow/people-client-metadata.ts';
import { TOKEN_EXCHANGE } from './exchange/token-exchange.ts';

const PROVIDER_METHODS: Readonly<
  Record<ClientAuthentication, 'tls_client_auth' | 'private_key_jwt'>
> = {
  tls_client_auth: 'tls_client_auth',
  private_key_jwt: 'private_key_jwt',
  // Over mTLS as well; which certificate is the client's, the issuer is asked.
  spiffe_x509: 'tls_client_auth',
  // As an assertion of RFC 7523 that the issuer made of it.
  spiffe_jwt: 'private_key_jwt',
};

/**
 * How `oidc-provider`, which knows no SVIDs, sees a registered client.
 *
 * @param svidAssertionJwk what the assertions are signed with that stand for verified JWT-SVIDs
 */
export function clientMetadata(
  { client, registration }: ClientOf,
  {
    svidAssertionJwk,
    isDetailType,
  }: {
    readonly svidAssertionJwk: Readonly<Record<string, unknown>>;
    /** Whether the provider knows a type of authorization details: it was told at its start. */
    readonly isDetailType: (type: string) => boolean;
  },
): AdapterPayload {
  const method = PROVIDER_METHODS[client.authentication];
  const jwks = client.authentication === 'spiffe_jwt' ? [svidAssertionJwk] : client.jwks;
  return {
    client_id: client.id,
    token_endpoint_auth_method: method,
    grant_types: ['client_credentials', ...(client.exchange ? [TOKEN_EXCHANGE] : [])],
    response_types: [],
    redirect_uris: [],
    ...peopleClientMetadata(client),
    // RFC 8705 §2.1.2 wants a name to compare; what is compared is the registered certificate, or the SVID.
    ...(method === 'tls_client_auth' && {
      tls_client_auth_san_uri: registration.subject.id,
    }),
    ...(jwks && { jwks: { keys: jwks } }),
    // Of the types that there are none but these (RFC 9396 §10).
    authorization_details_types: (client.detailTypes ?? []).filter(isDetailType),
    // Never an unbound token: RFC 8705 §3.4, RFC 9449 §5.2.
    tls_client_certificate_bound_access_tokens: client.binding === 'mtls',
    dpop_bound_access_tokens: client.binding === 'dpop',
  };
}
