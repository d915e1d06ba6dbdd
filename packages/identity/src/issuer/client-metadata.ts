import type { AdapterPayload } from 'oidc-provider';
import type { ClientOf } from '../registry.ts';
import { peopleClientMetadata } from './code-flow/people-client-metadata.ts';

/** How `oidc-provider` sees a registered client. */
export function clientMetadata({ client, registration }: ClientOf): AdapterPayload {
  return {
    client_id: client.id,
    token_endpoint_auth_method: client.authentication,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    ...peopleClientMetadata(client),
    // RFC 8705 §2.1.2 wants a name to compare; what is compared is the registered certificate.
    ...(client.authentication === 'tls_client_auth' && {
      tls_client_auth_san_uri: registration.subject.id,
    }),
    ...(client.jwks && { jwks: { keys: client.jwks } }),
    // Never an unbound token: RFC 8705 §3.4, RFC 9449 §5.2.
    tls_client_certificate_bound_access_tokens: client.binding === 'mtls',
    dpop_bound_access_tokens: client.binding === 'dpop',
  };
}
