"""What to do with a message: evidence × policy × now → decision. Pure, total, rejecting by default.

evidence   what was found out about one message, in the words of RFC 8601
overrides  the operator's exceptions, each with a note and an end
decision   the verdict, its one reason, and the SMTP reply
decide     the table
allowance  how much mail of newcomers is let in a day
replay     what all this would have done to the recorded past
"""
