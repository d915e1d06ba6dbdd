import type { ClientRegistration } from '@countersign/model';
import type { AdapterPayload } from 'oidc-provider';

/** How the provider sees an application for people, beside what holds of every client; nothing of other clients. */
export function peopleClientMetadata({ people }: ClientRegistration): AdapterPayload {
  if (people === undefined) return {};
  return {
    // FAPI 2.0 Security Profile §5.3.2.2: the code flow, and nothing of the implicit or hybrid flows.
    grant_types: [
      'authorization_code',
      ...(people.refresh ? ['refresh_token'] : []),
      ...(people.ciba ? ['urn:openid:params:grant-type:ciba'] : []),
    ],
    response_types: ['code'],
    // `form_post` would have the issuer serve a script in the page; a fragment would hand the code to one.
    response_modes: ['query'],
    redirect_uris: [...people.redirectUris],
    require_pushed_authorization_requests: true,
    ...(people.ciba && {
      backchannel_token_delivery_mode: people.notificationEndpoint ? 'ping' : 'poll',
      ...(people.notificationEndpoint && {
        backchannel_client_notification_endpoint: people.notificationEndpoint,
      }),
    }),
  };
}
