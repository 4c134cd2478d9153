/* A folder of this test alone in which everybody may do anything, so that it is the sandbox and no file mode
 * that keeps a deed out of it. The hostile object knows it by the test's process id. */
#pragma once

/* Makes the folder with a file in it. */
void outside_make (void);
/* The folder is as it was made. */
void outside_assert_untouched (void);
void outside_remove (void);
