/**
 * Memory-corruption guard: who writes into my memory?
 */

export { GuardError, type GuardErrorCode } from './guard-error.ts';
