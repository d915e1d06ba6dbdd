import { errors } from 'oidc-provider';

/**
 * Characters of an access token that we issue. Points read 8192, of a transaction token too, which says all that the token says and
 * what is asked for: 1024 are left for that.
 */
const ACCESS_TOKEN_CHARACTERS_MAX = 7168;

/** Of the header, whose `kid` is a thumbprint, and of an ES256 signature, with the dots; a little more than they take. */
const AROUND_PAYLOAD_CHARACTERS = 220;

/**
 * Holds a token against what points read before it is recorded and signed; one that no point could read is of no use.
 *
 * @throws {errors.InvalidRequest} with how long it would be, for the client and the record
 */
export function assertReadable(payload: Readonly<Record<string, unknown>>): void {
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  const characters = Math.ceil((bytes * 4) / 3) + AROUND_PAYLOAD_CHARACTERS;
  if (characters > ACCESS_TOKEN_CHARACTERS_MAX) {
    throw new errors.InvalidRequest(
      `the token would have ${characters} characters, and at most ${ACCESS_TOKEN_CHARACTERS_MAX} are issued`,
      400,
      'authorization_details, scopes, the customer and the chain of actors make it long',
    );
  }
}
