import type { Acr, Amr } from '@countersign/model';

/** A provider at which the bank's people sign in elsewhere: what the bank's repository says of it. Files are read when they are needed. */
export interface IdentityProvider {
  /** Lower-case kebab; its redirect URI is `<issuer of ours>/idp/<name>/callback`. */
  readonly name: string;
  /** What people read. */
  readonly displayName: string;
  /** `iss` of its tokens, character by character; its metadata is found below it (OpenID Connect Discovery 1.0 §4). */
  readonly issuer: string;
  /** Further https origins that its metadata may name endpoints at; nothing else of it is ever asked. */
  readonly origins: readonly string[];
  readonly clientId: string;
  readonly authentication: ProviderAuthentication;
  /** PEM of its TLS authorities, in place of the system's. */
  readonly caFile?: string;
  /** Beside `openid`. */
  readonly scopes: readonly string[];
  /** Whom it speaks for. */
  readonly subjects: 'human' | 'customer';
  readonly person: PersonMatch;
  /** Which claim says how the person signed in there; `acr` if the bank did not say. */
  readonly acrClaim: string;
  /** What its values are worth here; one that is not mapped is worth `idp`. */
  readonly acr: Readonly<Record<string, Acr>>;
  /** Its values of `amr` by ours (RFC 8176); one that is not mapped is dropped. */
  readonly amr: Readonly<Record<string, Amr>>;
  /** Who may sign in by it: whose claim has one of the values. It only takes away; rights come from the directory. */
  readonly requires?: { readonly claim: string; readonly anyOf: readonly string[] };
  /** How long ago the person may have signed in there. */
  readonly maxAgeSeconds: number;
}

/** How our client authenticates there. */
export type ProviderAuthentication =
  | {
      /** RFC 7523 §2.2; the key is a private key (PEM, PKCS #8): P-256, RSA or Ed25519. */
      readonly method: 'private_key_jwt';
      readonly keyFile: string;
      /** A certificate of the key, for providers that know it by that: its hash goes with each assertion. */
      readonly certificateFile?: string;
      /** `aud` of assertions, for providers that refuse their issuer as that: one, since what names several is good at the others. */
      readonly assertionAudience?: string;
    }
  /** RFC 8705 §2. */
  | {
      readonly method: 'tls_client_auth';
      readonly certificateFile: string;
      readonly keyFile: string;
    }
  /** RFC 6749 §2.3.1: for providers that can nothing better. */
  | { readonly method: 'client_secret_basic'; readonly secretFile: string };

/** Who of ours somebody is: a claim of the ID token, and what of a person it must equal. */
export interface PersonMatch {
  readonly claim: string;
  /** `id`: the name in the SPIFFE ID, or all of it. The others are the directory's. */
  readonly matches: 'id' | 'externalId' | 'userName' | 'email';
  /** People of this SCIM client only; needed for `externalId`. */
  readonly scimClient?: string;
}

/** By which provider somebody signed in, and who they are there. */
export interface ProviderLogin {
  readonly name: string;
  readonly issuer: string;
  readonly sub: string;
  /** The session there (OpenID Connect Back-Channel Logout 1.0 §2.1). */
  readonly sid?: string;
}
