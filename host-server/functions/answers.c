#include "host-server/functions/room.h"

/* protocol.md section 5. */
FunctionRefusal
function_answer_get_refusal (const FunctionAnswer *answer)
{
  const char *told = answer->told != NULL && answer->told[0] != '\0' ? answer->told : NULL;
  switch (answer->kind)
    {
    case FUNCTION_ANSWER_BAD_REQUEST:
      return (FunctionRefusal){ .error = STANZA_ERROR_BAD_REQUEST, .text = told };
    case FUNCTION_ANSWER_NOT_FOUND:
      return (FunctionRefusal){ .error = STANZA_ERROR_ITEM_NOT_FOUND, .text = told };
    case FUNCTION_ANSWER_FORBIDDEN:
      return (FunctionRefusal){ .error = STANZA_ERROR_FORBIDDEN, .text = told };
    case FUNCTION_ANSWER_CONFLICT:
      return (FunctionRefusal){ .error = STANZA_ERROR_CONFLICT,
                                .text = "the request had another function or argument" };
    case FUNCTION_ANSWER_LIMIT:
      return (FunctionRefusal){ .error = STANZA_ERROR_RESOURCE_CONSTRAINT,
                                .text = told,
                                .element = "limit-exceeded",
                                .attribute = "kind",
                                .word = answer->word };
    case FUNCTION_ANSWER_FAILED:
      return (FunctionRefusal){ .error = STANZA_ERROR_SERVICE_UNAVAILABLE,
                                .text = told,
                                .element = "function-failed",
                                .attribute = "reason",
                                .word = answer->word };
    case FUNCTION_ANSWER_FAULT:
    case FUNCTION_ANSWER_OK:
      break;
    }
  return (FunctionRefusal){ .error = STANZA_ERROR_INTERNAL_SERVER_ERROR };
}
