/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Included last by every .c file: calls that have a bounded or clearer form here do not compile. */
#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol gets system popen
#pragma GCC poison localtime gmtime usleep
