import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';

const base64url = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[A-Za-z0-9_-]*$/);
/** WebAuthn Level 3 §5.8.1: what the client data may grow to. */
const CLIENT_DATA_MAX = 8192;

const authentication = z.object({
  id: base64url(1364),
  rawId: base64url(1364),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url(CLIENT_DATA_MAX),
    authenticatorData: base64url(8192),
    signature: base64url(2048),
    userHandle: base64url(86).optional(),
  }),
  clientExtensionResults: z.record(z.string(), z.unknown()),
  authenticatorAttachment: z.string().max(32).optional(),
});

const registration = z.object({
  id: base64url(1364),
  rawId: base64url(1364),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url(CLIENT_DATA_MAX),
    attestationObject: base64url(60_000),
    transports: z.array(z.string().max(32)).max(16).optional(),
  }),
  clientExtensionResults: z.record(z.string(), z.unknown()),
  authenticatorAttachment: z.string().max(32).optional(),
});

/** `AuthenticationResponseJSON` of WebAuthn Level 3 §5.1, as far as it is used; nothing when it is none. */
export function parseAuthentication(value: unknown): AuthenticationResponseJSON | undefined {
  return authentication.safeParse(value).data as AuthenticationResponseJSON | undefined;
}

/** `RegistrationResponseJSON` of WebAuthn Level 3 §5.1, as far as it is used; nothing when it is none. */
export function parseRegistration(value: unknown): RegistrationResponseJSON | undefined {
  return registration.safeParse(value).data as RegistrationResponseJSON | undefined;
}

/** What a person calls a passkey: visible characters, at most 64. */
export function parseLabel(value: unknown): string {
  const label = typeof value === 'string' ? value.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim() : '';
  return [...label].slice(0, 64).join('') || 'passkey';
}
