import type { ProviderLogin } from '../idp/identity-provider.ts';
import type { PasskeyLogin } from '../passkeys/passkeys.ts';

/** A person who proved who they are: by a passkey, at an identity provider, or at both. */
export interface PersonLogin extends Omit<PasskeyLogin, 'kind'> {
  /** When, if that was not now. */
  readonly authTimeMs?: number;
  /** The identity provider that they came by. */
  readonly provider?: ProviderLogin;
}
